"""The integration monitor: which flow of which account can be trusted now, and what to do about the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django import forms
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

from domventas.core.pages import GetForm, is_fragment, page, with_query
from domventas.core.sheets import as_csv
from marketplaces.models import Account, Stream
from marketplaces.pages import border as lower
from marketplaces.pages.by_file import FileCell, Known, Step, file_cells
from marketplaces.pages.subscriptions import SUBSCRIBE
from marketplaces.pages.whole import is_wrong, whole
from marketplaces.pages.words import FLOWS, HEALTHS, LOOKS
from marketplaces.selectors import monitor
from marketplaces.selectors.border import Border, border
from marketplaces.selectors.monitor import Health, Row
from marketplaces.selectors.outbox import is_stopped
from marketplaces.selectors.stream import detail, stream

STEER: Final = "marketplaces.change_stream"
COLUMNS: Final = (
    "account", "channel", "flow", "health", "complete_until", "target", "last_success_at", "failures",
    "failed_windows", "gaps", "reports", "quarantined", "drift", "last_error_at", "last_error",
)  # fmt: skip


class Filters(GetForm):
    """What to see: an account, a flow, a state."""

    account = forms.ChoiceField(label=_("account"), required=False)
    flow = forms.ChoiceField(label=_("flow"), required=False, choices=[("", _("all")), *FLOWS.items()])
    state = forms.ChoiceField(
        label=_("state"),
        required=False,
        choices=[
            ("", _("all")),
            ("needs", _("needs somebody")),
            ("wrong", _("not fresh")),
            *((h.value, label) for h, label in HEALTHS.items()),
        ],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.accounts = {str(a.pk): a for a in Account.objects.order_by("code")}
        found = [(account.code, account.name) for account in self.accounts.values()]
        self.fields["account"].choices = [("", _("all")), *found]  # type: ignore[attr-defined]  # a ChoiceField

    def wants(self, row: Row, missing: Mapping[tuple[int, str], str]) -> bool:
        """Whether the row is among what was asked for."""
        state = self.values["state"]
        of_state = {"wrong": is_wrong(row), "needs": needs_somebody(row, missing)}
        return self._fits(row.account_id, row.flow) and (
            state in (None, "", row.health.value) or of_state.get(state, False)
        )

    def wants_file(self, cell: FileCell) -> bool:
        """Whether what nothing reads is among what was asked for."""
        state = self.values["state"]
        return self._fits(cell.account.pk, cell.flow) and (not state or (state == "needs" and bool(cell.missing)))

    def _fits(self, account_id: int, flow: str) -> bool:
        values = self.values
        return values["account"] in (None, "", self.accounts[str(account_id)].code) and values["flow"] in (
            None, "", flow,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One flow of one account as the grid draws it."""

    row: Row
    look: str
    glyph: str
    health: Any
    notes: str
    url: str
    is_open: bool
    label: Any
    step: Step | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One account of the grid; None where the marketplace does not have the flow or it is filtered out."""

    account: Account
    cells: list[Cell | FileCell | None]


@require_GET
@permission_required("marketplaces.view_stream", raise_exception=True)
def show(request: HttpRequest) -> HttpResponse:
    """Draw the grid with the chosen stream's details (`?stream=`), or the rows as CSV."""
    now = clock()
    filters = Filters(request.GET)
    every = monitor.rows(now=now)
    found = border()
    everything = whole(request, every, found, now=now)
    known = everything.known
    rows = [row for row in every if filters.wants(row, known.missing)]
    streams = [(row.account_id, row.flow) for row in every]
    files = [c for c in file_cells(filters.accounts.values(), streams, known) if filters.wants_file(c)]
    if request.GET.get("format") == "csv":
        return _csv(rows, files)
    shown = {row.flow for row in rows} | {cell.flow for cell in files}
    flows = [flow for flow in FLOWS if flow in shown]
    chosen = request.GET.get("stream", "")
    cells = {(row.account_id, row.flow): _cell(request, row, chosen, known) for row in rows}
    context = {
        "title": _("Integration monitor"),
        "now": now,
        "has_streams": bool(every),
        "counts": _counts(every),
        "whole": everything,
        "is_narrowed": len(rows) < len(every),
        "heads": [(FLOWS[flow], sorted({row.target for row in rows if row.flow == flow})) for flow in flows],
        "lines": _lines(filters, {**cells, **{(cell.account.pk, cell.flow): cell for cell in files}}, flows),
        "files": [cell for cell in files if cell.missing],
        "troubles": sorted(
            (cell for cell in cells.values() if needs_somebody(cell.row, known.missing)),
            key=lambda cell: (list(Health).index(cell.row.health), cell.row.account, cell.row.flow),
        ),
        "detail": _detail(chosen, now=now) if chosen else None,
        "cell": next((cell for cell in cells.values() if cell.is_open), None),
        "close_url": with_query(request, stream=None),
        "may_steer": request.user.has_perm(STEER),
        "may_subscribe": request.user.has_perm(SUBSCRIBE),
        "filters": filters.strip(request, csv=True),
        "live_url": request.get_full_path(),
        "is_live": is_fragment(request),
    }
    return page(request, "marketplaces/monitor.html", context | _border(found, now), partial="live")


def _border(found: Border, now: datetime) -> dict[str, Any]:
    return {
        "border": found,
        "account_lines": lower.lines(found, is_stopped=is_stopped(), now=now),
        "runs_url": lower.runs_url(),
    }


def _detail(chosen: str, *, now: datetime) -> Any:
    try:
        return detail(stream(int(chosen)), now=now)
    except (ValueError, Stream.DoesNotExist):
        raise Http404 from None


def _cell(request: HttpRequest, row: Row, chosen: str, known: Known) -> Cell:
    look, glyph = LOOKS[row.health]
    return Cell(
        row=row,
        look=look,
        glyph=glyph,
        health=HEALTHS[row.health],
        notes=" · ".join(_notes(row, known.missing.get((row.account_id, row.flow), ""))),
        url=with_query(request, stream=row.stream_id) + "#stream",
        is_open=str(row.stream_id) == chosen,
        label=FLOWS[row.flow],
        step=known.steps.get((row.account_id, row.flow)),
    )


def _notes(row: Row, missing: str) -> Iterable[str]:
    """What is not as it should be, each with its count."""
    told = (
        (row.gaps, ngettext("%(count)d gap", "%(count)d gaps", row.gaps)),
        (row.quarantined, ngettext("%(count)d in quarantine", "%(count)d in quarantine", row.quarantined)),
        (row.reports, ngettext("%(count)d report waits", "%(count)d reports wait", row.reports)),
        (row.drift, ngettext("%(count)d new field", "%(count)d new fields", row.drift)),
    )
    return [*filter(None, [missing]), *(words % {"count": count} for count, words in told if count)]


def _lines(filters: Filters, cells: Mapping[tuple[int, str], Cell | FileCell], flows: list[str]) -> list[Line]:
    with_rows = {account for account, _flow in cells}
    return [
        Line(account=account, cells=[cells.get((account.pk, flow)) for flow in flows])
        for account in filters.accounts.values()
        if account.pk in with_rows
    ]


def _counts(rows: list[Row]) -> list[tuple[int, Any]]:
    found = [(sum(row.health == health for row in rows), label) for health, label in HEALTHS.items()]
    return [pair for pair in reversed(found) if pair[0]]


def needs_somebody(row: Row, missing: Mapping[tuple[int, str], str]) -> bool:
    """Whether not everything of this flow is here; `missing` is what other apps miss of it."""
    return is_wrong(row) or bool(row.gaps or row.quarantined) or (row.account_id, row.flow) in missing


def _csv(rows: list[Row], files: list[FileCell]) -> HttpResponse:
    read = ([getattr(row, column) for column in COLUMNS] for row in rows)
    return as_csv("monitor", COLUMNS, (*read, *(_file_row(cell) for cell in files)))


def _file_row(cell: FileCell) -> list[object]:
    told = {
        "account": cell.account.name, "channel": cell.account.channel, "flow": cell.flow,
        "health": "by file" if cell.by_file else "never", "complete_until": cell.newest, "last_error": cell.missing,
    }  # fmt: skip
    return [told.get(column) for column in COLUMNS]
