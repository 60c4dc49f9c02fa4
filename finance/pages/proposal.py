"""A run of lines charged at one other rate: the lines themselves, and the rule that would make them right."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from domventas.core.errors import DomventasError
from finance.models import Discrepancy
from finance.selectors.discrepancies import lines_of_group
from finance.services import proposals

RULES: Final = ("finance.add_feerule", "finance.change_feerule")
#: Lines of a run shown; the rest is counted.
SHOWN: Final = 50


def of_group(request: HttpRequest, group: str) -> dict[str, Any]:
    """What the page of a run shows beside its finding; nothing for other groups."""
    if not group.startswith(f"{Discrepancy.Cause.RATE_CHANGED}|"):
        return {}
    lines = lines_of_group(group)
    try:
        proposal, problem = proposals.propose(group), ""
    except proposals.NoProposal as error:
        proposal, problem = None, error.message
    count = lines.count()
    return {
        "run": lines[:SHOWN],
        "run_count": count,
        "run_rest": max(count - SHOWN, 0),
        "proposal": proposal,
        "problem": problem,
        "may_rule": all(request.user.has_perm(perm) for perm in RULES),
    }


@require_POST
@permission_required(RULES, raise_exception=True)
def accept(request: HttpRequest) -> HttpResponse:
    """Make the new rule, if the run is still the one the person saw."""
    group = request.POST.get("group", "")[:160]
    try:
        proposal = proposals.propose(group)
        if request.POST.get("seen") != str(proposal.lines):
            messages.warning(request, _("These lines have changed meanwhile; nothing was written. Look again."))
        else:
            rule = proposals.accept_rule(proposal, source=request.POST.get("source", "")[:200])
            messages.success(request, _("The new rule holds from %(day)s.") % {"day": proposal.valid_from})
            return redirect("admin:finance_feerule_change", rule.pk)
    except DomventasError as error:
        messages.error(request, str(error))
    return redirect(f"{reverse('finance:findings')}?{request.GET.urlencode()}")
