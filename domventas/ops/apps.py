"""Operations: commands above all apps, no tables."""

from __future__ import annotations

from django.apps import AppConfig


class OpsConfig(AppConfig):
    """The commands for demo, scoring and measuring."""

    name = "domventas.ops"
    label = "ops"
