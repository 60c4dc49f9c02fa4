"""*Subscribe*: a person asks for what an account's marketplace does not send us yet."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.timezone import now as clock
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from domventas.core.errors import DomventasError
from marketplaces.models import Account
from marketplaces.services import asking

SUBSCRIBE: Final = "marketplaces.change_subscription"
CONNECT: Final = "connect"


@require_POST
@permission_required(SUBSCRIBE, raise_exception=True)
def subscribe(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for one account's events, also those that go elsewhere so far; a job does it at once."""
    account = Account.objects.filter(pk=pk).first()
    if account is None:
        raise Http404
    try:
        asking.ask(account, now=clock(), move=True)
    except DomventasError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("Asked for; what came of it stands here in a moment."))
    if request.POST.get("back") == CONNECT:
        return redirect("marketplaces:connect_account", pk=account.pk)
    return redirect("marketplaces:monitor")
