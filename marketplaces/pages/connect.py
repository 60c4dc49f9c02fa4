"""Connecting an account: marketplace, seller, sign-in with its test, what is read from when, and the first reading."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.timezone import now as clock
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from domventas.core.errors import DomventasError
from domventas.core.pages import page
from domventas.core.signin import session
from domventas.core.signin.sure import ask_again
from marketplaces.models import Account
from marketplaces.pages.advice import advice
from marketplaces.pages.connect_forms import DetailsForm, SecretsForm
from marketplaces.pages.words import FLOWS, PUSHES
from marketplaces.port import Connector
from marketplaces.registry import connectors
from marketplaces.selectors.progress import unfinished
from marketplaces.services import onboarding
from marketplaces.services.trial import try_sign_in

RIGHTS: Final = ("marketplaces.add_account", "marketplaces.change_credential")
STEPS: Final = (
    gettext_lazy("Marketplace"),
    gettext_lazy("Seller and sites"),
    gettext_lazy("Sign-in and test"),
    gettext_lazy("What is read, from when"),
    gettext_lazy("First reading"),
)


def may_connect(request: HttpRequest) -> bool:
    """Whether this person may make accounts and set secrets."""
    return all(request.user.has_perm(right) for right in RIGHTS)


def steps(current: int) -> list[tuple[int, Any, str]]:
    """(number, name, `done`, `now` or "") of each step, for the line above the panel."""
    return [
        (number, name, "done" if number < current else "now" if number == current else "")
        for number, name in enumerate(STEPS, start=1)
    ]


def capabilities(connector: Connector) -> dict[str, list[Any]]:
    """What a marketplace can do, in words."""
    return {
        "reads": [FLOWS.get(flow, flow) for flow in connector.flows],
        "pushes": [PUSHES.get(verb, verb) for verb in connector.pushes],
    }


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@permission_required("marketplaces.view_account", raise_exception=True)
def connect(request: HttpRequest) -> HttpResponse:
    """Steps 1 to 3. What was chosen stands in the address; the secrets are only ever in the body of one request."""
    if not may_connect(request):
        return _choose(request, status=403 if request.method == "POST" else 200)
    if "channel" not in request.GET:
        return _choose(request)
    connector = connectors.get(request.GET["channel"])
    if connector is None:
        raise Http404
    if "name" not in request.GET:
        return _details(request, connector, DetailsForm(connector))
    details = DetailsForm(connector, request.GET)
    if not details.is_valid() or "back" in request.GET:
        return _details(request, connector, details)
    if not session.is_sure(request):
        return redirect(ask_again(request))
    return _sign_in(request, connector, details.cleaned_data)


def _choose(request: HttpRequest, status: int = 200) -> HttpResponse:
    context = {
        "title": _("Connect an account"),
        "steps": steps(1),
        "marketplaces": [
            {"name": connector.name, "label": connector.label, "sites": connector.sites, **capabilities(connector)}
            for connector in connectors.values()
        ],
        "unfinished": unfinished(),
        "may_connect": may_connect(request),
        "now": clock(),
    }
    return page(request, "marketplaces/connect.html", context, status=status)


def _details(request: HttpRequest, connector: Connector, form: DetailsForm) -> HttpResponse:
    context = {
        "title": _("Connect %(name)s") % {"name": connector.label},
        "steps": steps(2),
        "connector": connector,
        "form": form,
    }
    return page(request, "marketplaces/connect_details.html", context)


def _sign_in(request: HttpRequest, connector: Connector, given: dict[str, Any]) -> HttpResponse:
    """Step 3: nothing is stored unless the sign-in works, or a person says so after it did not."""
    form, failed = SecretsForm(connector), None
    if request.method == "POST":
        form = SecretsForm(connector, request.POST)
        if form.is_valid():
            try:
                answer = _try(request, connector, given, form.secrets)
            except DomventasError as error:
                form.add_error(None, error.message)
            else:
                if isinstance(answer, HttpResponse):
                    return answer
                failed = answer
    context = {
        "title": _("Connect %(name)s") % {"name": connector.label},
        "steps": steps(3),
        "connector": connector,
        "given": given,
        "form": form,
        "failed": failed,
    }
    return page(request, "marketplaces/connect_secrets.html", context)


def _try(request: HttpRequest, connector: Connector, given: dict[str, Any], secrets: dict[str, str]) -> Any:
    """On to the account when it was made, else what went wrong and what to do."""
    now, is_anyway = clock(), "anyway" in request.POST
    if not is_anyway:
        what = {name: given[name] for name in ("external_id", "sites", "environment")}
        checked = try_sign_in(channel=connector.name, secrets=secrets, now=now, **what)
        if not checked.ok:
            return advice(checked, connector, given["environment"])
        messages.success(request, checked.message)
    account: Account = onboarding.begin(
        channel=connector.name, secrets=secrets, now=now, is_tested=not is_anyway, **given
    )
    return redirect("marketplaces:connect_account", pk=account.pk)
