"""The runbooks beside the alarms they belong to."""

from __future__ import annotations

from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from domventas.core import runbooks
from domventas.core.pages import page


@require_GET
@permission_required("marketplaces.view_stream", raise_exception=True)
def show(request: HttpRequest, name: str = "") -> HttpResponse:
    """One runbook, or the list of them."""
    try:
        found = runbooks.runbook(name, address=address_of) if name else None
    except LookupError:
        raise Http404 from None
    context = {
        "title": found.title if found else _("Runbooks"),
        "runbook": found,
        "others": [(runbooks.title(each), address_of(each)) for each in runbooks.names() if each != name],
    }
    return page(request, "marketplaces/runbook.html", context)


def address_of(name: str) -> str:
    """Where a runbook is shown."""
    return reverse("marketplaces:runbook", args=[name])
