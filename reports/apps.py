"""Reports: stands above every domain, imported by none."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ReportsConfig(AppConfig):
    """The pages for managers."""

    name = "reports"
    verbose_name = _("Reports")
