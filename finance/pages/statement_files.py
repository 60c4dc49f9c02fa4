"""Bringing statement files: which account, which files, and what became of each that was brought."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from domventas.core.models import Client
from domventas.core.pages import GetForm, page, with_query
from domventas.core.tenancy import current
from domventas.core.times import day_in
from domventas.core.whomay import who_may
from finance.models import Settlement, StatementFile
from finance.pages.steps import steps
from finance.pages.tables import as_csv, wants_csv
from finance.selectors.statement_files import accounts_with_files, are_waiting, brought
from finance.selectors.statements import absent_statements
from finance.services import settlement_files
from marketplaces.models import Account
from marketplaces.pages.runbooks import address_of

BRING: Final = "finance.import_statementfile"
PER_PAGE: Final = 50
#: Largest file a page takes [bytes]: 200,000 lines of an Amazon settlement. Larger ones are brought by command.
MOST_BYTES: Final = 64 * 1024 * 1024
MOST_FILES: Final = 20
LOOKS: Final = {"waiting": "now", "booked": "good", "known": "none", "refused": "bad"}


class FilesInput(forms.ClearableFileInput):
    """The browser's own field for several files."""

    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Several files, none of them empty, too large or too many."""

    widget = FilesInput

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile[Any]]:
        """Each by itself, so that the message names the file. Raises: ValidationError."""
        given = data if isinstance(data, list | tuple) else [data] if data else []
        if not given:
            raise forms.ValidationError(_("Choose at least one file."))
        if len(given) > MOST_FILES:
            raise forms.ValidationError(_("At most %(most)d files at a time.") % {"most": MOST_FILES})
        for file in given:
            if not file.size:
                raise forms.ValidationError(_("%(name)s is empty.") % {"name": file.name})
            if file.size > MOST_BYTES:
                words = _("%(name)s is larger than %(most)d MB: whoever runs the server can import it by command.")
                raise forms.ValidationError(words % {"name": file.name, "most": MOST_BYTES // 1024**2})
        return list(given)


class BringForm(forms.Form):
    """Files, and the account they are statements of."""

    account: Any = forms.ModelChoiceField(
        queryset=Account.objects.none(), label=_("Account"), to_field_name="code", empty_label=None
    )
    uploads = FilesField(label=_("Files, as the seller portal offers them"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["account"].queryset = accounts_with_files()  # type: ignore[attr-defined]  # a ModelChoiceField


class Filters(GetForm):
    """Whose files, and what became of them."""

    account = forms.ChoiceField(label=_("account"), required=False)
    state = forms.ChoiceField(label=_("state"), required=False, choices=[("", _("all")), *StatementFile.State.choices])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = accounts_with_files().values_list("code", "name")
        self.fields["account"].choices = [("", _("all")), *rows]  # type: ignore[attr-defined]  # a ChoiceField


@require_GET
@permission_required("finance.view_statementfile", raise_exception=True)
def show(request: HttpRequest) -> HttpResponse:
    """Draw form and list, fifty at a time, or the list as CSV."""
    filters = Filters(request.GET)
    if wants_csv(request):
        return _csv(_chosen(filters).iterator(chunk_size=2000))
    return _draw(request, filters, BringForm(initial={"account": filters.values["account"]}))


@require_POST
@permission_required(BRING, raise_exception=True)
def bring(request: HttpRequest) -> HttpResponse:
    """Keep the files and ask for them to be booked; nothing of any is kept if one cannot be taken."""
    form = BringForm(request.POST, request.FILES)
    if not form.is_valid():
        return _draw(request, Filters(), form, status=400)
    account, files = form.cleaned_data["account"], form.cleaned_data["uploads"]
    for file in files:
        settlement_files.bring(account, file.read(), name=file.name or "", now=clock())
    words = ngettext(
        "%(count)d file is kept and will be read.", "%(count)d files are kept and will be read.", len(files)
    )
    messages.success(request, words % {"count": len(files)})
    return redirect(f"{reverse('finance:statement_files')}?account={account.code}")


def _chosen(filters: Filters) -> Any:
    return brought(**{name: value or "" for name, value in filters.values.items()})


def _draw(request: HttpRequest, filters: Filters, form: BringForm, status: int = 200) -> HttpResponse:
    shown = Paginator(_chosen(filters), PER_PAGE).get_page(request.GET.get("page"))
    chosen = filters.values["account"] or ""
    takes = set(accounts_with_files().values_list("code", flat=True))
    today = day_in(Client.objects.get(pk=current().one).zone, clock())
    absent = [row for row in absent_statements(today=today) if row.account_code in takes]
    context = {
        "title": _("Statement files"),
        "form": form,
        "may_bring": request.user.has_perm(BRING),
        "who": who_may(request, BRING, _("Bringing statement files")),
        "takes_any": bool(takes),
        "absent": [row for row in absent if chosen in ("", row.account_code)],
        "rows": [(row, LOOKS.get(row.state, "none")) for row in shown],
        "steps": steps(request, shown),
        "are_waiting": are_waiting(),
        "live_url": with_query(request),
        "runbook": address_of("statements-by-file"),
        "now": clock(),
        "filters": filters.strip(request, csv=True),
    }
    return page(request, "finance/statement_files.html", context, partial="brought", status=status)


def _csv(rows: Iterable[StatementFile]) -> HttpResponse:
    head = ("account", "file", "bytes", "brought by", "brought at", "state", "reason", "settlement", "currency",
            "lines", "header", "difference", "raw document")  # fmt: skip

    def cells(row: StatementFile) -> list[object]:
        return [row.account.code, row.name, row.size, row.brought_by, row.brought_at, row.state, row.reason,
                *_booked(row.settlement), row.raw_id]  # fmt: skip

    return as_csv("statement-files", head, map(cells, rows))


def _booked(row: Settlement | None) -> list[object]:
    return [row.settlement_ref, row.currency, row.line_count, row.header_total, row.difference] if row else [""] * 5
