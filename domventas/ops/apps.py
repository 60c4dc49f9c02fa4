"""Operations: commands above all apps, no tables."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class OpsConfig(AppConfig):
    """The commands for demo, scoring and measuring; the last app to start."""

    name = "domventas.ops"
    label = "ops"

    def ready(self) -> None:
        """Make our Celery application the one that sends, and declare all jobs, in every process."""
        import domventas.celery  # noqa: F401 (making it is what counts)

        autodiscover_modules("tasks")
