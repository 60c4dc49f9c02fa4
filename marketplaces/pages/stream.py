"""What a person does to one stream: pause, resume, read now, read time again, or read the archive again."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.timezone import now as clock
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from domventas.core.errors import DomventasError
from domventas.core.models import Client
from domventas.core.pages import page
from domventas.core.tenancy import current
from marketplaces.models import Stream
from marketplaces.pages.monitor import STEER
from marketplaces.pages.words import FLOWS
from marketplaces.selectors.stream import archived, stream
from marketplaces.services import replay, schedule, streams


class StepForm(forms.Form):
    """One step; `since` only for reading again and for the archive, a day in the client's zone."""

    step = forms.ChoiceField(choices=[(name, name) for name in ("pause", "resume", "run", "reread", "replay")])
    since = forms.DateField(required=False)

    def clean(self) -> dict[str, Any]:
        """Reading again needs its first day."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if found.get("step") == "reread" and not found.get("since"):
            self.add_error("since", _("Say from which day on to read again."))
        return found


@require_POST
@permission_required(STEER, raise_exception=True)
def steer(request: HttpRequest, pk: int) -> HttpResponse:
    """Take one step and come back to the stream; says what was refused and why."""
    try:
        found = stream(pk)
    except Stream.DoesNotExist:
        raise Http404 from None
    form = StepForm(request.POST)
    back = redirect(f"{reverse('marketplaces:monitor')}?stream={pk}#stream")
    if not form.is_valid():
        messages.error(request, "; ".join(str(error) for errors in form.errors.values() for error in errors))
        return back
    try:
        messages.success(request, _take(found, form.cleaned_data, now=clock()))
    except DomventasError as error:
        messages.error(request, error.message)
    return back


@require_GET
@permission_required("marketplaces.view_stream", raise_exception=True)
def ask_replay(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what reading the archive again does, and ask."""
    try:
        found = stream(pk)
    except Stream.DoesNotExist:
        raise Http404 from None
    context = {
        "title": _("Read the archive again"),
        "stream": found,
        "flow": FLOWS.get(found.flow, found.flow),
        "documents": archived(found),
        "may_steer": request.user.has_perm(STEER),
        "now": clock(),
    }
    return page(request, "marketplaces/replay.html", context)


def _take(found: Stream, values: dict[str, Any], *, now: datetime) -> str:
    match values["step"]:
        case "pause":
            streams.pause([found])
            return _("Paused: nothing is read until somebody resumes it.")
        case "resume":
            streams.resume([found])
            return _("Resumed: what was missed is asked for with the next reading.")
        case "run":
            run = schedule.run_now(found, now=now)
            return _("One reading is asked for, run %(number)s.") % {"number": run.pk}
        case "replay":
            run = replay.ask(found, since=_moment(values["since"]), now=now)
            return _("The archive is read again by run %(number)s; the marketplace is asked nothing.") % {
                "number": run.pk
            }
        case _:
            streams.reread(found, since=_moment(values["since"]) or now, now=now)
            return _("Everything since %(day)s is asked for again with the next reading.") % {"day": values["since"]}


def _moment(day: date | None) -> datetime | None:
    """Where a day begins in the client's zone."""
    if day is None:
        return None
    return datetime.combine(day, time(), tzinfo=ZoneInfo(Client.objects.get(pk=current().one).zone))
