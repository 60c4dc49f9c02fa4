"""Deciding about findings: the ones ticked, or all that were on the screen if they are still the same."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from domventas.core.errors import DomventasError
from finance.models import Discrepancy
from finance.selectors import workbench
from finance.services import discrepancies

DECIDE: Final = "finance.change_discrepancy"
SELECTION, FILTER = "selection", "filter"


class DecideForm(forms.Form):
    """What somebody decides, about which findings, why, and what they saw when they pressed."""

    step = forms.ChoiceField(choices=[("accept", ""), ("claim", ""), ("reopen", "")], label=_("step"))
    scope = forms.ChoiceField(choices=[(SELECTION, ""), (FILTER, "")], label=_("which"))
    note = forms.CharField(required=False, max_length=300, label=_("why"))
    until = forms.DateField(required=False, label=_("until"))
    seen = forms.CharField(required=False, max_length=2000)


def decide(
    request: HttpRequest, chosen: QuerySet[Discrepancy], form: DecideForm, *, now: datetime
) -> tuple[bool, workbench.Seen | None]:
    """Carry out a decision about findings and tell the person. True: done.

    For a whole filter the count and sums must be those the person saw; else nothing is written and the new ones are
    returned.
    """
    if not form.is_valid():
        messages.error(request, "; ".join(str(error) for errors in form.errors.values() for error in errors))
        return False, None
    values = form.cleaned_data
    there = workbench.seen(chosen)
    if values["scope"] == FILTER and str(there) != values["seen"]:
        messages.warning(request, _("These findings have changed meanwhile; nothing was written. Look again."))
        return False, there
    if not there.count:
        messages.error(request, _("Nothing is selected that can be decided."))
        return False, None
    try:
        done = _carry_out(list(chosen.order_by().values_list("pk", flat=True)), values, request.user, now)
    except DomventasError as error:
        messages.error(request, str(error))
        return False, None
    words = ngettext("%(count)d finding decided.", "%(count)d findings decided.", done) % {"count": done}
    messages.success(request, words)
    return True, None


def _carry_out(findings: list[int], values: dict[str, Any], user: Any, now: datetime) -> int:
    match values["step"]:
        case "accept":
            return discrepancies.accept(
                findings, until=values["until"], note=values["note"], by=user.email, now=now
            )  # fmt: skip
        case "claim":
            return discrepancies.claim(findings, note=values["note"], by=user.email)
        case _:
            return discrepancies.reopen(findings, by=user.email)


def picked(request: HttpRequest, name: str = "pick") -> list[int]:
    """The numbers ticked; what is no number is left out."""
    return [int(text) for text in request.POST.getlist(name) if text.isascii() and text.isdigit() and len(text) < 19]
