"""One raw document: what a marketplace said, readable, with the row in question marked."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from domventas.core import reveal
from domventas.core.crypto import Unreadable
from domventas.core.pages import page, with_query
from marketplaces.models import Account, RawDocument
from marketplaces.pages.words import FLOWS
from marketplaces.selectors.raw import NoSuchDocument, document_of
from marketplaces.selectors.sheet import ROWS, View, seen_by, view

SEE: Final = "marketplaces.view_rawdocument"
EXPORT: Final = "marketplaces.export_rawdocument"
#: File endings by content type; the rest is bytes.
ENDINGS: Final = {
    "application/json": "json",
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "text/plain": "txt",
}


@require_GET
@permission_required(SEE, raise_exception=True)
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """Draw the document without people; `?row=` is a line of a file or the number of a record."""
    document = _document(pk)
    row = _row(request)
    problem = ""
    seen: View | None = None
    try:
        seen = view(document, with_people=False, row=row)
    except Unreadable as error:
        problem = error.message
    context = {
        "title": document.name or f"{FLOWS.get(document.flow, document.flow)}",
        "document": document,
        "flow": FLOWS.get(document.flow, document.flow),
        "account": Account.objects.filter(pk=document.account_id).first(),
        "view": seen,
        "problem": problem,
        "row": row,
        "is_masked": document.is_encrypted,
        "may_reveal": document.is_encrypted and request.user.has_perm(reveal.SEE),
        "may_download": request.user.has_perm(EXPORT) and not problem and not (seen and seen.is_hidden),
        "pages": _pages(request, seen),
    }
    return page(request, "marketplaces/raw.html", context)


@require_GET
@permission_required((SEE, EXPORT), raise_exception=True)
def download(request: HttpRequest, pk: int) -> HttpResponse:
    """The document as a file, personal data blanked."""
    document = _document(pk)
    try:
        body = seen_by(document, with_people=False)
    except Unreadable:
        raise Http404 from None
    if not body and document.size:
        raise Http404
    kind = document.content_type.partition(";")[0].strip().lower()
    response = HttpResponse(body, content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="raw-{document.pk}.{ENDINGS.get(kind, "bin")}"'
    return response


def _document(pk: int) -> RawDocument:
    try:
        return document_of(pk)
    except NoSuchDocument as error:
        raise Http404(str(_("This raw document is no longer kept."))) from error


def _row(request: HttpRequest) -> int | None:
    given = request.GET.get("row", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None


def _pages(request: HttpRequest, seen: View | None) -> dict[str, Any]:
    """Addresses of the rows before and after; a table is read a window at a time."""
    if seen is None or not seen.lines:
        return {}
    middle = ROWS // 2
    return {
        "before": with_query(request, row=max(2, seen.first - middle - 1)) if seen.first > 2 else "",
        "after": with_query(request, row=min(seen.total, seen.last + middle + 1)) if seen.last < seen.total else "",
    }
