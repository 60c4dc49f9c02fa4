"""Connecting an account step by step: made when its sign-in works, read only once a person has started it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime

from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _

from domventas.core.errors import Refused
from domventas.core.models import TaskRun
from marketplaces.models import Account, Stream
from marketplaces.port import Checked
from marketplaces.services import accounts, asking, schedule, streams


def begin(
    *,
    channel: str,
    name: str,
    external_id: str,
    sites: Iterable[str],
    environment: str,
    secrets: Mapping[str, str],
    now: datetime,
    is_tested: bool,
) -> Account:
    """Make the account, of which nothing is read before `start`.

    Args:
        is_tested: whether the sign-in worked; false keeps in words that it has still to be tested.

    Raises: Refused: such an account is there already, and as `accounts.create_account`.
    """
    if there := taken_by(channel=channel, external_id=external_id, environment=environment):
        raise Refused(_("“%(account)s” is this seller already.") % {"account": there})
    with transaction.atomic():
        account = accounts.create_account(
            channel=channel, code=_free_code(name), name=name, external_id=external_id, sites=sites, secrets=secrets,
            environment=environment, now=now, status=Account.Status.NEW,
        )  # fmt: skip
        _note(account, is_tested)
    return account


def taken_by(*, channel: str, external_id: str, environment: str) -> Account | None:
    """The account that acts as this seller already, finished or not."""
    found = Account.objects.filter(channel=channel, external_id=external_id, environment=environment)
    return found.first()


def is_tested(account: Account) -> bool:
    """Whether the sign-in of an account that is being connected has worked."""
    return account.status_note == ""


def renew(account: Account, secrets: Mapping[str, str], *, now: datetime) -> Checked:
    """Replace the secrets of an account that is being connected, and test them. Raises: Refused."""
    _must_be_new(account)
    accounts.set_secrets(account, secrets, now=now)
    return test(account, now=now)


def test(account: Account, *, now: datetime) -> Checked:
    """Sign in with the secrets kept, and remember whether it worked. Raises: Refused: it is connected already."""
    _must_be_new(account)
    checked = accounts.test_connection(account, now=now)
    _note(account, checked.ok)
    return checked


def start(account: Account, *, flows: Collection[str], first_day: date | None, now: datetime) -> list[TaskRun]:
    """Read these flows from that day on (None = as far back as the marketplace answers): one reading each, at once.

    Raises: Refused: it is connected already, its sign-in has not worked yet, or there is no such flow.
    """
    _must_be_new(account)
    if not is_tested(account):
        raise Refused(_("Its sign-in has not worked yet, so nothing can be read."))
    with transaction.atomic():
        all_of_it = streams.ensure(account)
        if not flows or set(flows) - {stream.flow for stream in all_of_it}:
            raise Refused(_("Say at least one flow of this marketplace that is to be read."))
        account.cutover_on, account.status = first_day, Account.Status.ACTIVE
        account.save(update_fields=["cutover_on", "status"])
        streams.pause([stream for stream in all_of_it if stream.flow not in flows])
        asking.ask_if_possible(account, now=now)
        chosen = Stream.objects.filter(account=account, flow__in=flows).select_related("account").order_by("flow")
        return [schedule.run_now(stream, now=now) for stream in chosen]


def _must_be_new(account: Account) -> None:
    if account.status != Account.Status.NEW:
        raise Refused(_("“%(account)s” is connected already.") % {"account": account})


def _note(account: Account, is_tested: bool) -> None:
    account.status_note = "" if is_tested else _("The sign-in has not worked yet.")
    account.save(update_fields=["status_note"])


def _free_code(name: str) -> str:
    """A code made of the name that no account of the client has."""
    base = slugify(name)[:50] or "account"
    taken = set(Account.objects.filter(code__startswith=base).values_list("code", flat=True))
    number = 1
    while (code := base if number == 1 else f"{base}-{number}") in taken:
        number += 1
    return code
