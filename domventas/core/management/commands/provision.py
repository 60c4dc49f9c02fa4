"""Prepares a PostgreSQL server for domventas; run once by somebody with a superuser's login."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from domventas.core.provisioning import ROLES, provision
from domventas.settings import env


class Command(BaseCommand):
    """Passwords come from DATABASE_URL, DATABASE_OWNER_URL and DATABASE_OPS_URL where these name one."""

    help = "Make roles, database, extensions, default privileges and marks (needs DATABASE_SUPERUSER_URL)."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Provision and print what the server did not allow."""
        url = env("DATABASE_SUPERUSER_URL")
        if not url:
            raise CommandError("DATABASE_SUPERUSER_URL is not set")
        by_user = {c.settings_dict["USER"]: c.settings_dict["PASSWORD"] for c in connections.all()}
        passwords = {role: str(by_user[role]) for role in ROLES if by_user.get(role)}
        name = str(connections["default"].settings_dict["NAME"])
        for note in provision(url, name, passwords=passwords):
            self.stdout.write(note)
        self.stdout.write(f"{name} is ready; next: manage.py migrate")
