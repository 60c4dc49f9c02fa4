"""Tables of the money pages as files, for those who may take figures out of the house."""

from __future__ import annotations

from typing import Final

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from domventas.core.sheets import as_csv

__all__ = ["EXPORT", "as_csv", "wants_csv"]

EXPORT: Final = "finance.export_settlement"


def wants_csv(request: HttpRequest) -> bool:
    """Whether the address asks for a file. Raises: PermissionDenied: the person may not export."""
    if request.GET.get("format") != "csv":
        return False
    if not request.user.has_perm(EXPORT):
        raise PermissionDenied
    return True
