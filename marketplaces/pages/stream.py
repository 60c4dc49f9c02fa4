"""What a person does to one stream: pause, resume, read now, or read time again."""

from __future__ import annotations

from datetime import datetime, time
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
from django.views.decorators.http import require_POST

from domventas.core.errors import DomventasError
from domventas.core.models import Client
from domventas.core.tenancy import current
from marketplaces.models import Stream
from marketplaces.pages.monitor import STEER
from marketplaces.selectors.stream import stream
from marketplaces.services import schedule, streams


class StepForm(forms.Form):
    """One step; `since` only for reading again, a day in the client's zone."""

    step = forms.ChoiceField(choices=[(name, name) for name in ("pause", "resume", "run", "reread")])
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
        case _:
            zone = ZoneInfo(Client.objects.get(pk=current().one).zone)
            since = datetime.combine(values["since"], time(), tzinfo=zone)
            streams.reread(found, since=since, now=now)
            return _("Everything since %(day)s is asked for again with the next reading.") % {"day": values["since"]}
