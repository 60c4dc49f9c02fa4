"""The kernel as a Django app: connects the walls and the checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CoreConfig(AppConfig):
    """Label `core`."""

    name = "domventas.core"
    label = "core"
    verbose_name = _("System")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Keep connections in line after each request and task, and the walls after each migration."""
        from celery.signals import task_postrun
        from django.contrib.auth.signals import user_logged_in
        from django.core.signals import request_finished
        from django.db.models.signals import post_migrate

        from domventas.core import checks, panels, tenancy, walls
        from domventas.core.audit import retire
        from domventas.core.jobs import checks as job_checks
        from domventas.core.signin import session

        checks.connect()
        job_checks.connect()
        request_finished.connect(tenancy.sync_all, dispatch_uid="tenancy")
        task_postrun.connect(tenancy.sync_all, dispatch_uid="tenancy", weak=False)
        post_migrate.connect(walls.after_migrate, sender=self, dispatch_uid="walls")
        user_logged_in.connect(session.begin, dispatch_uid="signin")
        retire.connect()
        panels.load()
