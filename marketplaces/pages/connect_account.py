"""The second half of connecting an account: test it again, choose what is read, start, and watch the first reading."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.timezone import now as clock
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from domventas.core.errors import DomventasError
from domventas.core.models import Client
from domventas.core.pages import page
from domventas.core.signin import session
from domventas.core.signin.sure import ask_again
from domventas.core.tenancy import current
from marketplaces.models import Account
from marketplaces.pages.advice import Advice, advice
from marketplaces.pages.connect import capabilities, may_connect, steps
from marketplaces.pages.connect_forms import RangeForm, SecretsForm
from marketplaces.pages.subscriptions import CONNECT, SUBSCRIBE
from marketplaces.pages.words import FLOWS
from marketplaces.port import Connector
from marketplaces.registry import connectors
from marketplaces.selectors.progress import Stage, ending_of, progress
from marketplaces.selectors.subscriptions import asked
from marketplaces.services import onboarding

#: What the first reading asks for when nobody chooses another day.
FIRST: Final = timedelta(days=90)
STAGES: Final[dict[Stage, tuple[Any, str]]] = {
    Stage.OFF: (gettext_lazy("not read"), "none"),
    Stage.ASKED: (gettext_lazy("asked for, waits for a free worker"), "none"),
    Stage.READING: (gettext_lazy("being read"), "now"),
    Stage.PREPARING: (gettext_lazy("the marketplace prepares its report"), "now"),
    Stage.HELD: (gettext_lazy("waits for its turn"), "warn"),
    Stage.FAILED: (gettext_lazy("failed"), "bad"),
    Stage.DONE: (gettext_lazy("done"), "good"),
}


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@permission_required("marketplaces.view_account", raise_exception=True)
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """Steps 3 to 5 of an account that is there already; which one, its state says."""
    account = Account.objects.filter(pk=pk).first()
    connector = connectors.get(account.channel) if account else None
    if account is None or connector is None:
        raise Http404
    if request.method == "POST":
        if not may_connect(request):
            raise PermissionDenied
        return _take(request, account, connector)
    return _draw(request, account, connector)


def _take(request: HttpRequest, account: Account, connector: Connector) -> HttpResponse:
    """One step: test again, new secrets, or start."""
    try:
        match request.POST.get("step"):
            case "test":
                return _tested(request, account, connector, onboarding.test(account, now=clock()))
            case "secrets":
                return _renew(request, account, connector)
            case "start":
                return _start(request, account, connector)
    except DomventasError as error:
        messages.error(request, error.message)
    return redirect("marketplaces:connect_account", pk=account.pk)


def _renew(request: HttpRequest, account: Account, connector: Connector) -> HttpResponse:
    if not session.is_sure(request):
        return redirect(ask_again(request))
    form = SecretsForm(connector, request.POST)
    if not form.is_valid():
        return _draw(request, account, connector, secrets_form=form)
    return _tested(request, account, connector, onboarding.renew(account, form.secrets, now=clock()))


def _tested(request: HttpRequest, account: Account, connector: Connector, checked: Any) -> HttpResponse:
    if not checked.ok:
        return _draw(request, account, connector, failed=advice(checked, connector, account.environment))
    messages.success(request, checked.message)
    return redirect("marketplaces:connect_account", pk=account.pk)


def _start(request: HttpRequest, account: Account, connector: Connector) -> HttpResponse:
    form = _range(connector, clock(), request.POST)
    if not form.is_valid():
        return _draw(request, account, connector, range_form=form)
    runs = onboarding.start(
        account, flows=form.cleaned_data["flows"], first_day=form.cleaned_data["first_day"], now=clock()
    )
    messages.success(request, _("Started: %(count)d first readings are asked for.") % {"count": len(runs)})
    return redirect("marketplaces:connect_account", pk=account.pk)


def _draw(
    request: HttpRequest,
    account: Account,
    connector: Connector,
    *,
    failed: Advice | None = None,
    secrets_form: SecretsForm | None = None,
    range_form: RangeForm | None = None,
) -> HttpResponse:
    now = clock()
    context: dict[str, Any] = {
        "title": _("Connect %(name)s") % {"name": account.name},
        "account": account,
        "connector": connector,
        "may_connect": may_connect(request),
        "now": now,
    }
    if account.status != Account.Status.NEW:
        return _first_reading(request, context, account)
    if not onboarding.is_tested(account):
        context |= {
            "steps": steps(3),
            "failed": failed,
            "form": secrets_form or SecretsForm(connector),
            "ending": ending_of(account),
            "is_sure": session.is_sure(request),
            "again_url": ask_again(request),
        }
        return page(request, "marketplaces/connect_retry.html", context)
    context |= {"steps": steps(4), "form": range_form or _range(connector, now), "flows": _flows(connector)}
    return page(request, "marketplaces/connect_range.html", context | {"can": capabilities(connector)})


def _range(connector: Connector, now: datetime, data: Any = None) -> RangeForm:
    zone = ZoneInfo(Client.objects.get(pk=current().one).zone)
    today = now.astimezone(zone).date()
    initial = {"flows": list(connector.flows), "first_day": today - FIRST}
    return RangeForm(connector, data, today=today, labels=FLOWS, initial=initial)


def _flows(connector: Connector) -> list[dict[str, Any]]:
    return [
        {
            "name": name, "label": FLOWS.get(name, name), "history": flow.history, "freshness": flow.freshness,
            "is_snapshot": flow.snapshot,
        }
        for name, flow in connector.flows.items()
    ]  # fmt: skip


def _first_reading(request: HttpRequest, context: dict[str, Any], account: Account) -> HttpResponse:
    found = progress(account, now=context["now"])
    monitor = reverse("marketplaces:monitor")
    context |= {
        "asked": asked([account]).get(account.pk),
        "may_subscribe": request.user.has_perm(SUBSCRIBE),
        "back": CONNECT,
        "steps": steps(6 if found.is_done else 5),
        "progress": found,
        "percent": round(found.share * 100),
        "rows": [
            {
                "flow": flow, "label": FLOWS.get(flow.flow, flow.flow), "stage": STAGES[flow.stage][0],
                "look": STAGES[flow.stage][1], "percent": round(flow.share * 100),
                "url": f"{monitor}?stream={flow.stream_id}#stream",
            }
            for flow in found.flows
        ],
        "live_url": request.path,
    }  # fmt: skip
    return page(request, "marketplaces/connect_progress.html", context, partial="progress")
