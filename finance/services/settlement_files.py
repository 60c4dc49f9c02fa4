"""Settlement files that people bring: kept as they came, read by the marketplace's reader, booked like any other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from typing import Final

from django.db import DataError, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from domventas.core import tenancy
from domventas.core.errors import DomventasError, Refused
from domventas.core.jobs import firing
from finance.models import Settlement, SettlementLine, StatementFile
from finance.services.settlements import Ingested, SettlementRefused, ingest, is_older
from marketplaces.errors import Malformed
from marketplaces.models import Account, AccountSite, Site
from marketplaces.port import RawPage
from marketplaces.records import SettlementRecord
from marketplaces.registry import connectors
from marketplaces.selectors.raw import NoSuchDocument, body_of, document_of
from marketplaces.services import raw

#: The job that books what waits.
BOOKING: Final = "statements.book"
#: A file whose reading has ended the program so often is not tried again.
MOST_TRIES: Final = 5


class FileRefused(DomventasError):
    """A file that was not booked. Its bytes are kept: `raw_id` is where; the message names row and field.

    `raw_id` is None where the marketplace has no settlement files at all.
    """

    message = "This file was not booked."

    def __init__(self, message: str, *, raw_id: int | None = None) -> None:
        super().__init__(message)
        self.raw_id = raw_id


def bring(account: Account, body: bytes, *, name: str, now: datetime) -> StatementFile:
    """Keep a file and ask for it to be booked; the row tells later what became of it.

    Called outside a transaction, because what somebody sent is kept even if it is refused.
    Raises: FileRefused: the marketplace has no file format.
    """
    file = _keep(account, body, name=name, now=now)
    firing.ensure_queued(BOOKING, now=now)
    return file


def import_file(account: Account, body: bytes, *, name: str, now: datetime) -> Ingested:
    """Keep a file and book the one settlement in it at once.

    Called outside a transaction, because what somebody sent is kept even if it is refused.
    Raises: FileRefused: the marketplace has no file format, or the file cannot be read or must not be booked.
    """
    file = _keep(account, body, name=name, now=now)
    with transaction.atomic():
        booked = _settle(file, body, now=now)
    if isinstance(booked, FileRefused):
        raise booked
    return booked


def book_waiting(*, now: datetime, step: Callable[[], AbstractContextManager[None]] = transaction.atomic) -> int:
    """Book every file that waits, those tried least first, each in a transaction of its own. Returns how many ended.

    A begun try is committed first: a file that ends the program each time is given up, and holds up no other.
    """
    done = 0
    waiting = StatementFile.objects.filter(state=StatementFile.State.WAITING)
    for pk in list(waiting.order_by("tries", "pk").values_list("pk", flat=True)):
        with step():
            begun = waiting.filter(pk=pk).update(tries=F("tries") + 1)
        if begun:
            with step():
                file = waiting.select_for_update().select_related("account").get(pk=pk)
                _settle(file, None, now=now)
            done += 1
    return done


def _keep(account: Account, body: bytes, *, name: str, now: datetime) -> StatementFile:
    connector = connectors.get(account.channel)
    if connector is None or connector.parse_settlement is None:
        raise FileRefused(_("This marketplace has no settlement files."))
    kind = "text/csv" if name.lower().endswith(".csv") else "text/tab-separated-values"
    page = RawPage(body=body, content_type=kind, name=name)
    archived = raw.archive(account, "settlements", connector.settlements, page, now=now)
    if _is_overtaken(account, page, archived):  # brought again: it says so now, whatever came between
        again = replace(page, name=f"{name} ({now.isoformat()})", context={"again": now.isoformat()})
        archived = raw.archive(account, "settlements", connector.settlements, again, now=now)
    acting = tenancy.current()
    says = {"name": name[:200], "size": len(body), "brought_by": acting.actor[:254], "brought_at": now}
    file, _made = StatementFile.objects.get_or_create(
        account=account, raw_id=archived, state=StatementFile.State.WAITING, defaults=says
    )
    return file


def _is_overtaken(account: Account, page: RawPage, raw_id: int) -> bool:
    """Whether the settlement in a file stands as a later document says; False where the file cannot be read."""
    parse = connectors[account.channel].parse_settlement
    try:
        return parse is not None and is_older(account, parse(page.body, page.name), raw_id)
    except Malformed:
        return False


def _settle(file: StatementFile, body: bytes | None, *, now: datetime) -> Ingested | FileRefused:
    """Book a file and write down what became of it, in the caller's transaction; a refusal books nothing."""
    try:
        if file.tries > MOST_TRIES:
            raise Refused(_("Reading it has broken off several times; it was given up. Tell whoever runs the server."))
        if body is None:
            body = body_of(document_of(file.raw_id))
        with transaction.atomic():
            booked = _booked(file, body, now=now)
    except (Malformed, SettlementRefused, NoSuchDocument, Refused) as error:
        return _refuse(file, error.message, now=now)
    except DataError as error:
        return _refuse(file, str(error), now=now)
    file.state = StatementFile.State.BOOKED if booked.changed or booked.is_new else StatementFile.State.KNOWN
    file.settlement_id = booked.settlement_id
    file.reason, file.ended_at = "", now
    file.save(update_fields=["state", "settlement", "reason", "ended_at"])
    return booked


def _refuse(file: StatementFile, why: str, *, now: datetime) -> FileRefused:
    file.state, file.reason, file.ended_at = StatementFile.State.REFUSED, why, now
    file.save(update_fields=["state", "reason", "ended_at"])
    return FileRefused(f"{file.name}: {why}", raw_id=file.raw_id)


def _booked(file: StatementFile, body: bytes, *, now: datetime) -> Ingested:
    """Raises: Malformed, SettlementRefused, DataError."""
    parse = connectors[file.account.channel].parse_settlement
    if parse is None:
        raise SettlementRefused(_("This marketplace has no settlement files."))
    record = parse(body, file.name)
    _refuse_anothers(file.account, record)
    booked = ingest(file.account, record, raw_id=file.raw_id, source="file", now=now)
    if booked.changed:
        _refuse_other_sites(file.account, booked)
    return booked


def _refuse_anothers(account: Account, record: SettlementRecord) -> None:
    """One statement belongs to one account: the same one stands under another, so somebody chose the wrong one."""
    same = Settlement.objects.filter(
        settlement_ref=record.settlement_ref, currency=record.currency, account__channel=account.channel,
        period_start=record.period_start, period_end=record.period_end,
    )  # fmt: skip
    other = same.exclude(account=account).select_related("account").first()
    if other is not None:
        raise SettlementRefused(
            _("Settlement %(ref)s stands under account %(account)s already; was the right account chosen?")
            % {"ref": record.settlement_ref, "account": other.account}
        )


def _refuse_other_sites(account: Account, booked: Ingested) -> None:
    """A statement whose orders are all of sites this account does not sell on belongs to another account.

    Only lines of orders name their site; others are taken to be of the account's own.
    """
    lines = SettlementLine.objects.filter(settlement_id=booked.settlement_id, reversed_in=None, reverses=None)
    told = set(lines.exclude(order_ref="").order_by().values_list("site", flat=True).distinct())
    known = dict(Site.objects.filter(channel=account.channel, code__in=told).values_list("code", "label"))
    own = set(AccountSite.objects.filter(account=account).values_list("site__code", flat=True))
    if known and own and not own & known.keys():
        raise SettlementRefused(
            _("It tells of %(sites)s only, where account %(account)s does not sell; was the right account chosen?")
            % {"sites": ", ".join(sorted(known.values())), "account": account}
        )
