"""The next transfers to the bank: when each is expected, how much, and by which evidence. Nothing is guessed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from statistics import median
from typing import Any, Final, NamedTuple

from django.db.models import BooleanField, Count, Exists, ExpressionWrapper, F, OuterRef, Q, Sum

from domventas.core.times import day_in, start_of
from finance.models import Payout, Receivable, Settlement
from finance.selectors.cycles import SEEN, next_end, terms_by_account, usual_cycle
from finance.selectors.receivables import COMING, SITE, held, lacks_fees
from finance.selectors.silent_sites import sites_without_statements
from marketplaces.models import Account, AccountSite

NOTHING: Final = Decimal(0)
#: How far back statements and transfers tell what is usual.
_HISTORY: Final = timedelta(days=400)
_BLINK: Final = timedelta(microseconds=1)
#: Statements of an account without word of their transfer that are told one by one.
_FEW: Final = 3
Key = tuple[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Money that should come to the bank by one transfer [currency].

    `evidence`: `stated` (a statement is here; its total is certain), `announced` (a transfer without a statement of
    ours), `failed`, or `running` (the cycle no statement covers yet: an estimate out of open order lines).
    `day_by` says how the day is known (`told`, `usual`) or why it is not (`no_transfer`, `no_statement`, `no_cycle`,
    `failed`, `untold`).
    """

    account_id: int
    account: str
    account_code: str
    currency: str
    evidence: str
    day: date | None
    day_by: str
    amount: Decimal | None
    is_late: bool
    settlement: int | None = None
    ref: str = ""
    until: date | None = None
    """Last day of its statement, or the day the running one should end."""
    statements: int = 0
    """How many statements this stands for, where so many were told no transfer of that they are told together."""
    is_waiting: bool = False
    """The statement is announced; its lines have not come."""
    lag: int | None = None
    """Days from the end of a statement to its transfer, as a rule."""
    failure: str = ""
    lines: int = 0
    state: str = ""
    """State of the lines an estimate is made of, as the list of what is owed knows it."""
    without_fees: Decimal = NOTHING
    """What of an estimate is on lines (`lines_without_fees`) no rule tells a fee of: nothing is taken off for it."""
    lines_without_fees: int = 0
    release_from: date | None = None
    release_to: date | None = None
    reserve: Decimal = NOTHING
    earlier: Decimal | None = None
    """Open on lines released before the running cycle, in no booked statement: not in the amount."""
    carried: Decimal = NOTHING
    """What the last statement was below zero: the next one takes it off."""
    by_site: tuple[tuple[str, Decimal], ...] = ()
    """The amount by site, where one account with several is asked for."""
    last: Payout | None = None
    """The last transfer of the account that was made."""


class _Open(NamedTuple):
    state: str
    release_on: date | None
    site: str
    amount: Decimal
    lines: int
    lacks_fees: bool


@dataclass(slots=True)
class _Past:
    """What is known of one account in one currency: its statements (the newest first), habits and open lines."""

    zone: str
    is_silent: bool
    terms: int | None
    heads: list[Settlement] = field(default_factory=list)
    lags: list[int] = field(default_factory=list)
    last: Payout | None = None
    open: list[_Open] = field(default_factory=list)

    @property
    def lag(self) -> int | None:
        """Days from the end of a statement to its transfer: the median of the last eight."""
        return round(median(self.lags[:SEEN])) if self.lags else None

    @property
    def following(self) -> date | None:
        """The day the running statement should end: as the last ones did, else by the payment term."""
        usual = usual_cycle([head.period_end for head in self.heads if head.period_end])
        ends = [end for head in self.heads if (end := self.ended(head))]
        return next_end(ends, usual=round(usual / timedelta(days=1)) if usual else self.terms)

    def ended(self, head: Settlement) -> date | None:
        """The day a statement ends where the account sells: the first that belongs to the next one."""
        return day_in(self.zone, head.period_end) if head.period_end else None


def settlements_by_transfer(which: str) -> Q:
    """Which statements: `open` (booked, above zero, and nobody has told a transfer), `below` (booked, below zero, none
    will be made) or `ahead` (transferred, and their lines are not here yet).
    """
    is_waiting, is_made = Q(status=Settlement.Status.WAITING), Q(_was_made())
    return {
        "open": _is_beyond("gt") & ~is_made & ~is_waiting,
        "below": _is_beyond("lt") & ~is_made & ~is_waiting,
        "ahead": is_made & is_waiting,
    }[which]


def _is_beyond(how: str) -> Q:
    """Statements whose total is greater (`gt`) or less (`lt`) than zero."""
    return Q(**{f"header_total__{how}": 0}) | Q(**{"header_total": None, f"lines_total__{how}": 0})


def _was_made() -> Exists:
    made = Payout.objects.filter(
        account=OuterRef("account"), settlement_ref=OuterRef("settlement_ref"), state=Payout.State.PAID
    )
    return Exists(made)


def next_transfers(*, today: date, account: int | None = None) -> list[Transfer]:
    """What should come next to the bank, per account and currency, the soonest first; nine queries.

    One row per statement whose transfer nobody has told yet, and one for the running cycle of each account; of one
    account by its sites.
    """
    whose = {"account_id": account} if account else {}
    accounts = {account.pk: account for account in Account.objects.all()}
    past = _past(today, accounts, whose)
    told, strays = _payouts(today, whose)
    reserves = held()
    found: list[Transfer] = []
    for key, each in past.items():
        _learn(each, key[0], told)
        found += _together([_stated(accounts[key[0]], each, head, told.get((key[0], head.settlement_ref)), today)
                            for head in each.heads if _is_coming(head)])  # fmt: skip
        found.append(_running(accounts[key[0]], key[1], each, reserves.get(key, NOTHING), today))
    known = {(account, head.settlement_ref) for (account, _currency), each in past.items() for head in each.heads}
    found += [_announced(accounts[row.account_id], row, today) for row in strays
              if (row.account_id, row.settlement_ref) not in known]  # fmt: skip
    return sorted(found, key=lambda row: (row.day is None, row.day or today, row.account, row.currency))


def _past(today: date, accounts: Mapping[int, Account], whose: Mapping[str, int]) -> dict[Key, _Past]:
    """Statements and open lines of each account and currency that has any; six queries."""
    silent, terms = set(sites_without_statements()), terms_by_account(today=today)
    sites: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for account, code, zone in AccountSite.objects.order_by("site__code").values_list(
        "account", "site__code", "site__zone"
    ):
        sites[account].append((code, zone))
    found: dict[Key, _Past] = {}

    def of(account: int, currency: str) -> _Past:
        if (account, currency) not in found:
            mine = sites.get(account, [])
            found[account, currency] = _Past(
                zone=mine[0][1] if mine else "UTC",
                is_silent=bool(mine) and all(code in silent for code, _zone in mine),
                terms=terms[account][0] if account in terms else None,
            )
        return found[account, currency]

    since = today - _HISTORY
    heads = (
        Settlement.objects.annotate(is_made=_was_made())
        .filter(**whose)
        .filter(Q(period_end__gt=start_of(since, "UTC")) | (_is_beyond("gt") & ~Q(_was_made())))
    )
    for head in heads.order_by(F("period_end").desc(nulls_last=True), "-pk"):
        of(head.account_id, head.currency).heads.append(head)
    rows = (
        Receivable.objects.filter(state__in=[*COMING, Receivable.State.NO_EVIDENCE], **whose)
        .order_by()
        .annotate(lacks_fees=ExpressionWrapper(lacks_fees(), output_field=BooleanField()))
        .values("account_id", "currency", "state", "release_on", "lacks_fees", *([SITE] if whose else ()))
        .annotate(rest=Sum("open"), lines=Count("pk"))
    )
    for row in rows:
        of(row["account_id"], row["currency"]).open.append(
            _Open(
                row["state"],
                row["release_on"],
                row.get(SITE, ""),
                row["rest"] or NOTHING,
                row["lines"],
                row["lacks_fees"],
            )
        )
    return {key: each for key, each in found.items() if key[0] in accounts}


def _payouts(today: date, whose: Mapping[str, int]) -> tuple[dict[tuple[int, str], Payout], list[Payout]]:
    """Transfers by account and statement, and those that are not made; one query."""
    known = Payout.objects.filter(Q(paid_on__gt=today - _HISTORY) | ~Q(state=Payout.State.PAID), **whose)
    rows = list(known.order_by("pk"))
    by_statement = {(row.account_id, row.settlement_ref): row for row in rows if row.settlement_ref}
    return by_statement, [row for row in rows if row.state != Payout.State.PAID]


def _learn(past: _Past, account: int, told: Mapping[tuple[int, str], Payout]) -> None:
    """Read off past transfers how long after its statement the money came, and which was the last."""
    for head in past.heads:
        payout, end = told.get((account, head.settlement_ref)), past.ended(head)
        if payout and end and payout.state == Payout.State.PAID and payout.paid_on and payout.amount > 0:
            past.lags.append((payout.paid_on - end).days)
            if past.last is None or past.last.paid_on is None or past.last.paid_on < payout.paid_on:
                past.last = payout


def total_of(head: Settlement) -> Decimal:
    """What a statement says is paid: its header, or its lines where it states no total."""
    return head.lines_total if head.header_total is None else head.header_total


def _is_coming(head: Settlement) -> bool:
    return not head.is_made and total_of(head) > 0  # type: ignore[attr-defined]  # annotated


def _stated(account: Account, past: _Past, head: Settlement, payout: Payout | None, today: date) -> Transfer:
    """The transfer of a statement that is here; its total is certain."""
    end, lag = past.ended(head), past.lag
    has_failed = payout is not None and payout.state == Payout.State.FAILED
    day = None if has_failed else (payout.paid_on if payout else None) or head.paid_on
    day_by = "failed" if has_failed else "told"
    if day is None and not has_failed:
        day, day_by = (None, "no_transfer") if end is None or lag is None else (end + timedelta(days=lag), "usual")
    return Transfer(
        **_whose(account, head.currency), evidence="failed" if has_failed else "stated", day=day, day_by=day_by,
        amount=total_of(head), is_late=day is not None and day < today, settlement=head.pk, ref=head.settlement_ref,
        until=_last_day(past, head), is_waiting=head.status == Settlement.Status.WAITING, lag=lag,
        failure=payout.failure if payout else "",
    )  # fmt: skip


def _together(rows: list[Transfer]) -> list[Transfer]:
    """One row instead of many of one account whose day has passed or is unknown: nobody tells its transfers at all.

    Statements whose lines have not come, and transfers that failed, stay by themselves.
    """
    alike = [row for row in rows if row.evidence == "stated" and not row.is_waiting]
    if sum(1 for row in alike if row.is_late or row.day is None) <= _FEW:
        return rows
    one = replace(
        alike[0], day=None, day_by="untold", is_late=False, settlement=None, ref="", lag=None, statements=len(alike),
        until=max((row.until for row in alike if row.until), default=None),
        amount=sum((row.amount for row in alike if row.amount), NOTHING),
    )  # fmt: skip
    return [one, *(row for row in rows if row not in alike)]


def _announced(account: Account, payout: Payout, today: date) -> Transfer:
    """A transfer the marketplace lists for which there is no statement."""
    has_failed = payout.state == Payout.State.FAILED
    day = None if has_failed else payout.paid_on
    return Transfer(
        **_whose(account, payout.currency), evidence="failed" if has_failed else "announced", day=day,
        day_by="failed" if has_failed else "told" if day else "no_statement", amount=payout.amount,
        is_late=day is not None and day < today, ref=payout.external_id, failure=payout.failure,
    )  # fmt: skip


def _running(account: Account, currency: str, past: _Past, reserve: Decimal, today: date) -> Transfer:
    """The transfer of the cycle no statement covers yet: open lines released in it, before fees and reserves."""
    state = str(Receivable.State.NO_EVIDENCE) if past.is_silent else "coming"
    mine = [row for row in past.open if (row.state == state) == past.is_silent]
    last = next((head for head in past.heads if head.period_end), None)
    first = past.ended(last) if last else None
    following, lag = past.following, past.lag
    whose = {**_whose(account, currency), "evidence": "running", "state": state, "reserve": reserve,
             "last": past.last}  # fmt: skip
    if last is None or first is None or following is None:
        by = "no_statement" if last is None else "no_cycle"
        return Transfer(**whose, day=None, day_by=by, amount=None, is_late=False, lag=lag)
    inside = [row for row in mine if row.release_on and first <= row.release_on < following]
    unknown = [row for row in inside if row.lacks_fees]
    before = [row.amount for row in mine if row.release_on and row.release_on < first]
    sites = sorted({row.site for row in inside})
    day = None if lag is None else following + timedelta(days=lag)
    return Transfer(
        **whose, day=day, day_by="no_transfer" if day is None else "usual", is_late=day is not None and day < today,
        amount=_sum(inside), lines=sum(row.lines for row in inside), lag=lag,
        until=(_last_day(past, last) or first) + (following - first), release_from=first,
        release_to=following - timedelta(days=1), earlier=sum(before, NOTHING) if before else None,
        carried=min(total_of(last), NOTHING), without_fees=_sum(unknown),
        lines_without_fees=sum(row.lines for row in unknown),
        by_site=tuple((site, _sum(row for row in inside if row.site == site)) for site in sites if len(sites) > 1),
    )  # fmt: skip


def _sum(rows: Iterable[_Open]) -> Decimal:
    return sum((row.amount for row in rows), NOTHING)


def _last_day(past: _Past, head: Settlement) -> date | None:
    """The last day a statement covers; one that ends at midnight does not cover the day that begins."""
    return day_in(past.zone, head.period_end - _BLINK) if head.period_end else None


def _whose(account: Account, currency: str) -> dict[str, Any]:
    return {"account_id": account.pk, "account": account.name, "account_code": account.code, "currency": currency}
