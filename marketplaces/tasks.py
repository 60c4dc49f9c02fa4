"""The timetable's readings: each flow of each marketplace by itself, so that one failing holds up no other."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Final

from django.utils.timezone import now as clock

from domventas.core.jobs import EVERY_CLIENT, Run, Scope, scheduled
from domventas.core.jobs.runner import Retry
from marketplaces.models import Account
from marketplaces.registry import connectors
from marketplaces.selectors import events, subscriptions
from marketplaces.services import asking, event_drain, gaps, inbox, quarantine, queues, raw, replay, schedule
from marketplaces.services.claims import Busy
from marketplaces.services.outbox_drain import drain
from marketplaces.services.pull import pull_stream

#: Batches of events one run works on before it makes room for others.
ROUNDS: Final = 20
#: How long one run takes messages from a queue at most before it makes room for others.
EMPTYING: Final = timedelta(seconds=15)
#: An empty queue is looked at again so soon, until the next minute's run does; the run holds no worker meanwhile.
LOOKS_AGAIN: Final = timedelta(seconds=10)
#: From so long after its slot on a run leaves the looking to the next one.
LISTENING: Final = timedelta(seconds=45)
#: A stream that is being read is replayed after that.
BUSY: Final = timedelta(seconds=20)


def _scope(flow: str) -> Scope:
    return Scope(name=flow, members=schedule.members, rows=partial(schedule.rows, flow), names=schedule.names)


def _pull(run: Run, flow: str) -> None:
    """Read one flow of the run's account; a stream that has to wait comes back by itself, by `services.retries`."""
    account = Account.objects.get(pk=run.account_id)
    result = pull_stream(account, flow, now=clock(), due_only=True, step=run.step)
    if result.error and result.retry_after is not None:
        raise Retry(result.retry_after.total_seconds(), note=result.error)


@scheduled("orders.pull.{channel}", "*/5 * * * *", soft=900, retries=3, needs="orders", scope=_scope("orders"))
def pull_orders(run: Run) -> None:
    """Orders that changed, with their lines and what they say about money."""
    _pull(run, "orders")


@scheduled("offers.snapshot.{channel}", "15 */4 * * *", soft=900, retries=3, needs="offers", scope=_scope("offers"))
def pull_offers(run: Run) -> None:
    """What the marketplace offers now: status, price, quantity."""
    _pull(run, "offers")


@scheduled(
    "settlements.pull.{channel}", "40 5 * * *", soft=1800, retries=3, needs="settlements", scope=_scope("settlements")
)
def pull_settlements(run: Run) -> None:
    """Statements of what was paid."""
    _pull(run, "settlements")


@scheduled(
    "finance.transactions.{channel}", "20 */4 * * *", soft=900, retries=3, needs="transactions",
    scope=_scope("transactions"),
)  # fmt: skip
def pull_transactions(run: Run) -> None:
    """Money booked but not settled yet."""
    _pull(run, "transactions")


@scheduled("payouts.pull.{channel}", "50 5 * * *", soft=900, retries=3, needs="payouts", scope=_scope("payouts"))
def pull_payouts(run: Run) -> None:
    """Transfers to the bank, where a marketplace lists them."""
    _pull(run, "payouts")


@scheduled(
    "ingest.{channel}.reports_poll", "*/2 * * * *", queue="reports", soft=600, retries=3,
    freshness=timedelta(minutes=10),
    scope=Scope(name="reports", members=schedule.members, rows=schedule.report_rows, names=schedule.names),
)  # fmt: skip
def poll_reports(run: Run) -> None:
    """Looks after the asynchronous reports under way; downloads what is ready."""
    account = Account.objects.get(pk=run.account_id)
    for name, flow in connectors[account.channel].flows.items():
        if flow.reports is not None:
            pull_stream(account, name, now=clock(), start=False, due_only=True, step=run.step)


@scheduled(
    "events.drain.{channel}", "* * * * *", queue="realtime", soft=240, overlap="queue",
    freshness=timedelta(minutes=5), scope=Scope(name="events", members=events.waiting_at, rows=schedule.event_rows),
)  # fmt: skip
def drain_events(run: Run) -> None:
    """Fetches what events told of; asked for by each event, every minute behind that."""
    account = Account.objects.get(pk=run.account_id)
    for _ in range(ROUNDS):
        done = event_drain.drain(account, now=clock(), step=run.step)
        if done.retry_after is not None:
            raise Retry(done.retry_after.total_seconds(), note="throttled")
        if not done.taken:
            return
    raise Retry(0.0, note="more events wait")


@scheduled(
    "events.receive.{channel}", "* * * * *", queue="realtime", soft=60, freshness=timedelta(minutes=5),
    scope=Scope(name="queues", members=events.queues_at, rows=schedule.queue_rows),
)  # fmt: skip
def receive_events(run: Run) -> None:
    """Takes what lies in the marketplace's queue, and looks again every ten seconds; no worker waits meanwhile."""
    account = Account.objects.get(pk=run.account_id)
    until, total, is_empty = clock() + EMPTYING, queues.Received(**run.progress), False
    while clock() < until and not is_empty:
        part = queues.receive(account, now=clock(), wait=queues.SHORTEST_WAIT)
        if part.is_busy:
            return
        total, is_empty = total + part, not part.messages
        with run.step(progress=total.in_words()):
            pass
    if not is_empty:
        raise Retry(0.0, note="more messages wait")
    if clock() < run.slot + LISTENING:
        raise Retry(LOOKS_AGAIN.total_seconds(), note="looks again")


@scheduled(
    "events.subscribe.{channel}", "35 4 * * *", soft=240, overlap="queue", freshness=timedelta(hours=26),
    scope=Scope(name="subscriptions", members=subscriptions.accounts_at, rows=schedule.asking_rows,
                names=schedule.names),
)  # fmt: skip
def subscribe_to_events(run: Run) -> None:
    """Asks the marketplace for its events and looks daily whether it still sends them; at once when an inlet opens."""
    account = Account.objects.get(pk=run.account_id)
    done = asking.align(account, now=clock(), step=run.step)
    if done.retry_after is not None:
        raise Retry(done.retry_after.total_seconds(), note=done.note)


@scheduled(
    "ingest.{channel}.replay", "*/10 * * * *", queue="bulk", soft=3000, overlap="queue", retries=3,
    freshness=timedelta(hours=2), scope=Scope(name="replay", members=replay.asked_at, rows=schedule.every_row),
)  # fmt: skip
def replay_archive(run: Run) -> None:
    """Reads kept raw documents again where a person asked for it; asked for at once, every ten minutes behind that."""
    account = Account.objects.get(pk=run.account_id)
    try:
        done = replay.replay(account, now=clock(), step=run.step)
    except Busy as error:
        raise Retry(BUSY.total_seconds(), note=error.message) from error
    with run.step(progress=asdict(done)):
        pass


@scheduled("ingest.gap_scan", "7 * * * *", soft=600, freshness=timedelta(hours=3))
def scan_gaps(run: Run) -> None:
    """Names what is missing and lets the next reading ask for it."""
    gaps.scan(Account.objects.filter(channel__in=list(connectors)), now=clock())


@scheduled(
    "platform.retention", "30 3 * * *", queue="bulk", soft=3000, freshness=timedelta(hours=26), scope=EVERY_CLIENT
)
def remove_personal_data(run: Run) -> None:
    """Raw documents, records in quarantine and events lose their personal data when its time is over."""
    now = clock()
    quarantine.purge(now=now)
    inbox.purge(now=now)
    while raw.purge(now=now):
        pass


@scheduled(
    "shipments.push.{channel}", "*/5 * * * *", queue="push", soft=300, overlap="queue", needs="shipments",
    freshness=timedelta(minutes=15),
    scope=Scope(name="shipments", members=schedule.members, rows=partial(schedule.push_rows, "shipments"),
                names=schedule.names),
)  # fmt: skip
def push_shipments(run: Run) -> None:
    """Tells the marketplace which parcels have left, and finds out what became of calls nobody answered."""
    _push(run, "shipments")


def _push(run: Run, verb: str) -> None:
    """Send what waits for the run's account; what comes due soon brings the run back."""
    account = Account.objects.get(pk=run.account_id)
    result = drain(account, verb, clock=clock, step=run.step)
    if result.retry_after is not None:
        raise Retry(result.retry_after.total_seconds(), note=result.note)
