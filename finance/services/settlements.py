"""Settlements coming in: one statement of a marketplace, by API or by file, becomes lines that sum to its header.

The same settlement again changes nothing; a different one is a new revision that reverses what it no longer says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from domventas.core.errors import DomventasError
from domventas.core.money import is_currency
from finance.models import Payout, Settlement
from finance.services import settlement_stage as stages
from marketplaces.garbage import not_collected
from marketplaces.models import Account
from marketplaces.records import FeeKind, SettlementRecord
from marketplaces.registry import connectors


class SettlementRefused(DomventasError):
    """A statement that can be read but must not be booked; the message names the line and what is wrong."""

    message = "This settlement cannot be booked."


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What became of one statement [amounts in its currency].

    Attributes:
        changed: lines were written; False when the same statement came again.
        is_new: this is the first time we hear of the settlement.
        inserted: lines added, the generated line and the reversals included.
        by_kind: sum of the statement's own lines by kind.
        unknown_kinds: lines by raw type that nobody has mapped yet.
    """

    settlement_id: int
    settlement_ref: str
    currency: str
    revision: int
    status: str
    header_total: Decimal | None
    lines_total: Decimal
    difference: Decimal
    line_count: int
    changed: bool
    is_new: bool = False
    inserted: int = 0
    reversed: int = 0
    by_kind: Mapping[str, Decimal] = field(default_factory=dict)
    unknown_kinds: Mapping[str, int] = field(default_factory=dict)


def ingest(account: Account, record: SettlementRecord, *, raw_id: int | None, source: str, now: datetime) -> Ingested:
    """Book one statement; its lines may stream and are read once.

    A header that differs from its lines is loaded as inconsistent, with the difference as one line of its own, so that
    the lines always sum to the header. Without lines (they come by the transaction log) only the header is kept, until
    `materialize` finds them.

    Args:
        source: how it came: `api` or `file`.
        now: stands in for the day of lines that carry none, and decides whether the transfer has been made.

    Raises: SettlementRefused: lines in several currencies. Malformed: the document turns out cut while it is read.
    """
    with transaction.atomic():
        if raw_id is not None and (newer := _from_newer(account, record, raw_id).first()) is not None:
            return _unchanged(newer)
        settlement, is_new = _header(account, record, raw_id=raw_id, source=source, now=now)
        _announce(account, record, now=now)
        if record.lines is None:
            return replace(_unchanged(settlement), is_new=is_new)
        with not_collected(), stages.from_records(record.lines, record.currency) as stage:
            booked = book(stage, account, settlement, raw_id=raw_id, now=now)
        return replace(booked, is_new=is_new)


def book(stage: str, account: Account, settlement: Settlement, *, raw_id: int | None, now: datetime) -> Ingested:
    """Book the staged lines as the settlement's whole content. Called inside a transaction, with a stage filled.

    Raises: SettlementRefused: lines in another currency than the settlement's.
    """
    staged = stages.summarize(stage, account, settlement.currency)
    if staged.foreign:
        row, currency = staged.foreign
        raise SettlementRefused(
            _("Row %(row)s: currency %(found)s in a settlement in %(expected)s.")
            % {"row": row, "found": currency, "expected": settlement.currency}
        )
    total = settlement.header_total
    difference = Decimal(0) if total is None else total - staged.total
    digest = staged.digest(total)
    if digest == settlement.digest:
        return _unchanged(settlement, staged)
    revision = settlement.revision + 1 if settlement.digest else settlement.revision
    if difference:
        stages.add_unexplained(stage, settlement.currency, difference, after=staged.count)
    written = stages.write(stage, account, settlement, staged, revision=revision, raw_id=raw_id, now=now)
    if settlement.digest:
        note = _("Revision %(revision)s: %(gone)s lines reversed, %(new)s added.")
        settlement.notes = [
            *settlement.notes,
            note % {"revision": revision, "gone": written.reversed, "new": written.appended},
        ]
    settlement.revision = revision
    settlement.digest = digest
    settlement.lines_total = staged.total
    settlement.difference = difference
    settlement.line_count = staged.count
    settlement.status = Settlement.Status.INCONSISTENT if difference else Settlement.Status.LOADED
    settlement.loaded_at = now
    settlement.raw_id = raw_id or settlement.raw_id
    settlement.is_seen = False
    settlement.save()
    return _result(settlement, staged, changed=True, written=written)


def is_older(account: Account, record: SettlementRecord, raw_id: int) -> bool:
    """Whether the settlement stands as a document says that was archived after this one."""
    return _from_newer(account, record, raw_id).exists()


def _from_newer(account: Account, record: SettlementRecord, raw_id: int) -> QuerySet[Settlement]:
    """The settlement, if it stands as a newer document says: reading the archive again takes no correction back."""
    return Settlement.objects.filter(account=account, settlement_ref=record.settlement_ref, raw_id__gt=raw_id)


def _header(
    account: Account, record: SettlementRecord, *, raw_id: int | None, source: str, now: datetime
) -> tuple[Settlement, bool]:
    """The settlement's row, locked, with what the header says, and whether it is new; written only if it differs."""
    if not is_currency(record.currency):
        raise SettlementRefused(_("%(code)s is not a currency code.") % {"code": repr(record.currency)})
    says: dict[str, Any] = {
        "currency": record.currency,
        "period_start": record.period_start,
        "period_end": record.period_end,
        "paid_on": record.paid_on,
        "header_total": record.total,
    }
    settlement, made = Settlement.objects.select_for_update().get_or_create(
        account=account,
        settlement_ref=record.settlement_ref,
        defaults={
            **says,
            "status": Settlement.Status.WAITING,
            "notes": list(record.notes),
            "source": source,
            "raw_id": raw_id,
            "loaded_at": now,
        },
    )
    if made:
        return settlement, True
    if settlement.currency != record.currency:
        raise SettlementRefused(
            _("Settlement %(ref)s is in %(expected)s; this document says %(found)s.")
            % {"ref": record.settlement_ref, "expected": settlement.currency, "found": record.currency}
        )
    changed = [name for name, value in says.items() if getattr(settlement, name) != value]
    if changed:
        for name in changed:
            setattr(settlement, name, says[name])
        settlement.raw_id = raw_id or settlement.raw_id
        settlement.is_seen = False
        settlement.save(update_fields=[*changed, "raw_id", "is_seen"])
    return settlement, False


def _announce(account: Account, record: SettlementRecord, *, now: datetime) -> None:
    """The transfer a header announces, where the marketplace has no list of payouts of its own."""
    if record.total is None or not record.complete or connectors[account.channel].payouts is not None:
        return
    if record.total <= 0:  # what an earlier revision announced is not transferred after all
        Payout.objects.filter(account=account, external_id=record.settlement_ref).delete()
        return
    if record.paid_on is None:
        return
    says = {
        "settlement_ref": record.settlement_ref,
        "amount": record.total,
        "currency": record.currency,
        "state": Payout.State.PAID if record.paid_on <= now.astimezone(UTC).date() else Payout.State.PENDING,
        "paid_on": record.paid_on,
    }
    payout, made = Payout.objects.get_or_create(account=account, external_id=record.settlement_ref, defaults=says)
    if made:
        return
    if payout.state == Payout.State.PAID and payout.paid_on == record.paid_on:
        says["state"] = Payout.State.PAID  # as of that day it was made, at whatever moment this is read
    changed = [name for name, value in says.items() if getattr(payout, name) != value]
    if changed:
        for name in changed:
            setattr(payout, name, says[name])
        payout.save(update_fields=changed)


def arrive(*, now: datetime) -> int:
    """Transfers only their statements announce count as made from the day they name. Returns how many do since.

    Such a statement, read a day later, would have said so by itself: what is owed must not hang on when it was read.
    """
    listing = [name for name, connector in connectors.items() if connector.payouts is not None]
    waiting = Payout.objects.filter(state=Payout.State.PENDING, paid_on__lte=now.astimezone(UTC).date())
    return waiting.exclude(account__channel__in=listing).update(state=Payout.State.PAID)


def _unchanged(settlement: Settlement, staged: stages.Staged | None = None) -> Ingested:
    return _result(settlement, staged, changed=False, written=stages.Written(0, 0))


def _result(
    settlement: Settlement, staged: stages.Staged | None, *, changed: bool, written: stages.Written
) -> Ingested:
    by_kind = dict(staged.by_kind) if staged else {}
    if settlement.difference and staged:
        by_kind[FeeKind.UNEXPLAINED.value] = settlement.difference
    return Ingested(
        settlement_id=settlement.pk,
        settlement_ref=settlement.settlement_ref,
        currency=settlement.currency,
        revision=settlement.revision,
        status=settlement.status,
        header_total=settlement.header_total,
        lines_total=settlement.lines_total,
        difference=settlement.difference,
        line_count=settlement.line_count,
        changed=changed,
        inserted=written.appended + written.reversed,
        reversed=written.reversed,
        by_kind=by_kind,
        unknown_kinds=dict(staged.unknown) if staged else {},
    )
