"""Writing back: what may leave which account, what stands in the outbox, and the one switch that stops everything."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_http_methods

from domventas.core.errors import DomventasError
from domventas.core.pages import page
from marketplaces.models import Account, OutboxCommand, PushFlow
from marketplaces.pages.words import PUSHES
from marketplaces.selectors import outbox
from marketplaces.selectors.outbox import FlowRow
from marketplaces.services import outbox as commands
from marketplaces.services import push_flows

CHANGE: Final = "marketplaces.change_pushflow"
STOP, ALLOW, TRY = "stop", "allow", "try"
LOOKS: Final = {PushFlow.Mode.SHADOW: "", PushFlow.Mode.LIVE: "good", PushFlow.Mode.STOPPED: "bad"}

ASKED: Final[dict[str, tuple[Any, Any]]] = {
    STOP: (
        _("Stop all pushes"),
        _("Nothing leaves any account any more until somebody allows it again. What is put meanwhile waits."),
    ),
    ALLOW: (_("Allow pushes again"), _("Each flow does what it says itself; what waited goes out.")),
    TRY: (_("Try again now"), _("What waits is sent now instead of at its hour, once what was missing is there.")),
    PushFlow.Mode.LIVE: (
        _("Go live"),
        _("From now on commands leave to the marketplace by themselves. What was held in shadow stays held."),
    ),
    PushFlow.Mode.SHADOW: (
        _("Back to shadow"),
        _("Commands are formed and shown, and none is sent. What waits now is held."),
    ),
    PushFlow.Mode.STOPPED: (_("Stop"), _("Nothing leaves this account until somebody goes live again.")),
}
"""Step → what it is called, and what it does."""


class ChangeForm(forms.Form):
    """One change of a switch: of one flow, or of everything (no account)."""

    step = forms.ChoiceField(choices=[(step, step) for step in ASKED])
    account = forms.ModelChoiceField(Account.objects.none(), to_field_name="code", required=False)
    verb = forms.ChoiceField(choices=[("", ""), *PUSHES.items()], required=False)
    why = forms.CharField(required=False, max_length=300)
    early = forms.BooleanField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["account"].queryset = Account.objects.all()  # type: ignore[attr-defined]  # a ModelChoiceField

    def clean(self) -> dict[str, Any]:
        """A flow's step names its account and kind."""
        given = super().clean() or {}
        if given.get("step") not in (None, STOP, ALLOW) and not (given.get("account") and given.get("verb")):
            raise forms.ValidationError(_("Say which account, and what it is about."))
        return given


@require_GET
@permission_required("marketplaces.view_pushflow", raise_exception=True)
def show(request: HttpRequest) -> HttpResponse:
    """Draw every push flow with its commands counted."""
    switch = outbox.switch()
    context = {
        "title": _("Writing back"),
        "now": clock(),
        "switch": switch,
        "is_stopped": bool(switch and switch.is_stopped),
        "rows": [_drawn(row) for row in outbox.flows()],
        "may_change": request.user.has_perm(CHANGE),
        "stop_url": _change_url(ALLOW if switch and switch.is_stopped else STOP),
    }
    return page(request, "marketplaces/pushes.html", context)


@require_http_methods(["GET", "POST"])
@permission_required("marketplaces.view_pushflow", raise_exception=True)
def change(request: HttpRequest) -> HttpResponse:
    """Ask before a switch is changed (GET), and change it (POST)."""
    form = ChangeForm(request.POST if request.method == "POST" else request.GET)
    if not form.is_valid():
        messages.error(request, "; ".join(str(error) for errors in form.errors.values() for error in errors))
        return redirect("marketplaces:pushes")
    if not request.user.has_perm(CHANGE):
        raise PermissionDenied
    if request.method == "POST":
        try:
            _change(form.cleaned_data, actor=request.user.get_username())
        except DomventasError as error:
            messages.error(request, error.message)
        else:
            messages.success(request, _("Done."))
        return redirect("marketplaces:pushes")
    label, meaning = ASKED[form.cleaned_data["step"]]
    context = {
        "title": label,
        "meaning": meaning,
        "given": form.cleaned_data,
        "verb_label": PUSHES.get(form.cleaned_data["verb"], ""),
        "waiting": _waiting(form.cleaned_data),
        "live_from": _too_early(form.cleaned_data, now=clock()),
    }
    return page(request, "marketplaces/push_change.html", context)


def _change(given: dict[str, Any], *, actor: str) -> None:
    now, why = clock(), given["why"]
    if given["step"] == STOP:
        push_flows.stop_everything(actor=actor, now=now, why=why)
    elif given["step"] == ALLOW:
        push_flows.allow_again(actor=actor, now=now, why=why)
    else:
        flow = push_flows.flow_of(given["account"], given["verb"], now=now)
        if given["step"] == TRY:
            commands.try_now(flow, now=now)
            return
        push_flows.set_mode(flow, given["step"], actor=actor, now=now, why=why, early=given["early"])


def _too_early(given: dict[str, Any], *, now: datetime) -> datetime | None:
    """From when on the flow may go live, where that is asked for too early."""
    if given["step"] != PushFlow.Mode.LIVE:
        return None
    possible = push_flows.live_from(push_flows.flow_of(given["account"], given["verb"], now=now), now=now)
    return possible if possible > now else None


def _waiting(given: dict[str, Any]) -> int:
    """How many commands wait that the change concerns."""
    rows = OutboxCommand.objects.filter(state=OutboxCommand.State.WAITING)
    return (rows.filter(account=given["account"], verb=given["verb"]) if given["account"] else rows).count()


def _drawn(row: FlowRow) -> dict[str, Any]:
    mode = PushFlow.Mode(row.flow.mode) if row.flow else PushFlow.Mode.SHADOW
    listed = reverse("admin:marketplaces_outboxcommand_changelist")
    about: dict[str, int | str] = {"account__id__exact": row.account.pk, "verb": row.verb}
    return {
        "row": row,
        "verb": PUSHES.get(row.verb, row.verb),
        "mode": mode.label,
        "look": LOOKS[mode],
        "steps": [
            (ASKED[step][0], _change_url(step, account=row.account.code, verb=row.verb))
            for step in (*([TRY] if mode == PushFlow.Mode.LIVE and row.waits_because else []), *PushFlow.Mode)
            if step != mode
        ],
        "links": {
            state.value: f"{listed}?{urlencode(about | {'state__exact': state.value})}" for state in OutboxCommand.State
        },
        "all_url": f"{listed}?{urlencode(about)}",
    }


def _change_url(step: str, **about: str) -> str:
    return f"{reverse('marketplaces:push_change')}?{urlencode({'step': step, **about})}"
