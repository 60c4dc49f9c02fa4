"""Parts of a page contributed by other apps: an order page shows its money and tickets without importing them.

An app holds its panels in `<app>/panels.py`; pages and admin of lower apps draw what is registered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.utils.module_loading import module_has_submodule

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.utils.functional import _StrOrPromise

_panels: dict[tuple[str, str], Panel] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One part of one page.

    Attributes:
        page: the page it stands on, "orders.order" or "trust".
        name: unique within the page.
        title: heading.
        template: draws it; its context is what `rows` returned.
        rows: called with the request and the page's subject (an order, a SKU; None on pages without one).
        order: smaller stands first.
        perm: permission without which it is not shown, "finance.view_settlementline".
    """

    page: str
    name: str
    title: _StrOrPromise
    template: str
    rows: Callable[[HttpRequest, Any], Mapping[str, Any]]
    order: int = 100
    perm: str = ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A panel with its data, ready for `{% include drawn.panel.template with … %}`."""

    panel: Panel
    data: Mapping[str, Any]


def register(panel: Panel) -> Panel:
    """Add a panel. Raises: ValueError: the page already has one of that name."""
    key = (panel.page, panel.name)
    if key in _panels and _panels[key] != panel:
        raise ValueError(f"two panels {panel.name!r} on the page {panel.page!r}")
    _panels[key] = panel
    return panel


def on(page: str) -> list[Panel]:
    """The panels of a page in their order."""
    return sorted((panel for panel in _panels.values() if panel.page == page), key=lambda p: (p.order, p.name))


def draw(request: HttpRequest, page: str, subject: Any = None) -> list[Drawn]:
    """The panels of a page that the person may see, with their data."""
    return [
        Drawn(panel, panel.rows(request, subject))
        for panel in on(page)
        if not panel.perm or request.user.has_perm(panel.perm)
    ]


def load() -> None:
    """Import every app's `panels` module and register what it holds; called at start-up."""
    for config in apps.get_app_configs():
        if config.name == "domventas.core" or not config.module or not module_has_submodule(config.module, "panels"):
            continue
        module = import_module(f"{config.name}.panels")
        for value in vars(module).values():
            if isinstance(value, Panel):
                register(value)
