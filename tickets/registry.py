"""All detectors by type, gathered from one folder: a new type is a new file."""

from __future__ import annotations

from domventas.core.registry import Registry
from tickets.detector import Detector

DETECTORS: Registry[Detector] = Registry(Detector, ("tickets.detectors",))


def type_choices() -> list[tuple[str, str]]:
    """(code, label) of every type, for filters."""
    return [(code, str(detector.label)) for code, detector in DETECTORS.items()]
