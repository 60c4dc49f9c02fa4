"""The pull engine with a marketplace to order: gaps, stops, errors in words, and nothing written twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from domventas.core import retention
from domventas.core.dump import canonical_dump, differences
from domventas.core.jobs.runner import Superseded
from domventas.core.models import Client
from marketplaces.errors import Malformed, Throttled, Unauthorized, Unavailable
from marketplaces.models import Account, Quarantined, RawDocument, SchemaDrift, Stream, StreamDay, SyncWindow
from marketplaces.port import RawPage
from marketplaces.registry import connectors
from marketplaces.selectors.gaps import short_days
from marketplaces.selectors.raw import body_of, shown
from marketplaces.services import gaps, raw, streams
from marketplaces.services.accounts import test_connection as try_connection
from marketplaces.services.claims import claim
from marketplaces.services.pull import pull_stream
from marketplaces.services.quarantine import excerpt_of
from marketplaces.services.reprocess import reprocess
from marketplaces.services.sync import sync
from marketplaces.tests.conftest import toy_account
from marketplaces.tests.support import NOW, Toy, day
from orders.models import BuyerContact, Order

LATER = NOW + timedelta(minutes=5)


def pull(account: Account, flow: str = "orders", *, now: datetime = NOW, **how):
    return pull_stream(account, flow, now=now, sleep=lambda seconds: None, **how)


def stream_of(account: Account, flow: str = "orders") -> Stream:
    return Stream.objects.get(account=account, flow=flow)


def written(*tables: str) -> int:
    """Rows this session has inserted, updated or deleted in these tables so far."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables"
            " WHERE relname LIKE ANY(%s)",
            [list(tables)],
        )
        return int(cursor.fetchone()[0])


def test_a_pull_brings_everything_and_covers_the_time_up_to_now(toy: Toy, account: Account):
    toy.fill(9)
    result = pull(account)
    assert (result.state, result.tally.records >= 9, result.windows) == ("done", True, 10)
    assert Order.objects.count() == 9
    stream = stream_of(account)
    assert (stream.complete_until, stream.window, stream.token) == (NOW, None, "")
    assert sum(StreamDay.objects.values_list("accepted", flat=True)) == 9


def test_a_second_pull_asks_for_nothing_that_is_covered(toy: Toy, account: Account):
    toy.fill(5)
    pull(account)
    toy.asked.clear()
    assert pull(account).windows == 0
    assert toy.asked == []
    pull(account, now=LATER)
    ((window, _),) = toy.asked
    assert (window.since, window.until) == (NOW - timedelta(minutes=10), LATER)


def test_reading_the_same_time_again_writes_no_row_of_the_domain(toy: Toy, account: Account):
    toy.fill(9)
    pull(account)
    before = written("orders_%", "catalog_%")
    assert before > 0
    result = pull(account, since=NOW - timedelta(days=9))
    assert result.tally.records >= 9
    assert result.tally.written == 0
    assert written("orders_%", "catalog_%") == before


def test_a_deleted_day_is_named_and_filled_again(toy: Toy, account: Account, client_of: Client):
    toy.fill(9)
    pull(account)
    before = canonical_dump(client_of)
    gone = Order.objects.filter(external_id__in=["T-004", "T-005"])
    days = {order.ordered_on for order in gone}
    gone.delete()
    assert {gap.day for gap in short_days(stream_of(account))} == days
    (named,) = gaps.scan([account], now=NOW)
    assert {gap.day for gap in named.days} == days
    result = pull(account, now=LATER)
    assert result.state == "done"
    assert differences(before, canonical_dump(client_of)) == []
    assert short_days(stream_of(account)) == []


def test_a_thing_that_is_dated_anew_is_no_lost_row(toy: Toy, account: Account):
    toy.fill(6)
    pull(account)
    moved = toy.placed["T-003"] + timedelta(days=1)
    toy.placed["T-003"], toy.orders["T-003"] = moved, (NOW + timedelta(minutes=1), 1)
    pull(account, now=LATER)
    assert Order.objects.get(external_id="T-003").ordered_on == day(moved)
    assert short_days(stream_of(account)) == []
    Order.objects.filter(external_id="T-003").delete()
    (gap,) = short_days(stream_of(account))
    assert gap.day == day(moved)


def test_a_pull_notices_lost_days_without_a_scan(toy: Toy, account: Account):
    toy.fill(6)
    pull(account)
    Order.objects.filter(external_id="T-003").delete()
    assert pull(account, now=LATER).gaps == 1
    assert Order.objects.count() == 6


def test_a_hole_in_the_coverage_is_the_only_thing_asked_for(toy: Toy, account: Account):
    toy.fill(9)
    pull(account)
    since = datetime(2026, 10, 28, tzinfo=UTC)
    with claim(stream_of(account), now=NOW) as held, transaction.atomic(), connection.cursor() as cursor:
        held.uncover(cursor, [(since, since + timedelta(hours=2))])
    toy.asked.clear()
    result = pull(account)
    assert (result.windows, result.gaps) == (1, 1)
    assert [(w.since, w.until) for w, _ in toy.asked] == [(since - timedelta(minutes=10), since + timedelta(hours=2))]


def test_a_stop_inside_a_window_goes_on_at_the_page_mark(toy: Toy, account: Account):
    toy.fill(5, every=timedelta(minutes=10))

    def stop(window, token):
        if token == "4":
            raise Unavailable("No answer.", "orders.list")

    toy.before = stop
    assert pull(account).state == "failed"
    assert Order.objects.count() == 4
    assert stream_of(account).token == "4"
    toy.before = lambda window, token: None
    toy.asked.clear()
    assert pull(account, now=LATER).state == "done"
    assert toy.asked[0][1] == "4"
    assert Order.objects.count() == 5
    assert not SyncWindow.objects.filter(status="running").exists()


def test_a_page_mark_that_has_run_out_starts_its_window_anew(toy: Toy, account: Account):
    toy.fill(5, every=timedelta(minutes=10))
    pull(account)
    stream = stream_of(account)
    Stream.objects.filter(pk=stream.pk).update(window=(NOW - timedelta(hours=3), NOW), token="999-old")
    from marketplaces.errors import Refused

    def refuse(window, token):
        if token == "999-old":
            raise Refused("The page mark is not valid any more.", "orders.list")

    toy.before = refuse
    assert pull(account).state == "done"
    assert stream_of(account).token == ""


def test_a_repeated_page_mark_is_an_error_in_words_and_ends(toy: Toy, account: Account):
    toy.fill(5, every=timedelta(minutes=10))
    toy.mangle = lambda page: {**page, "next": "2" if page["orders"] else ""}
    result = pull(account)
    assert result.state == "failed"
    assert "page mark" in stream_of(account).last_error
    assert len(toy.asked) < 20


def test_no_answer_is_tried_again_and_then_told(toy: Toy, account: Account):
    toy.fill(2)
    tries = []

    def fail(window, token):
        tries.append(token)
        raise Unavailable("The marketplace is out of order just now.", "orders.list", status=503)

    toy.before = fail
    result = pull(account)
    stream = stream_of(account)
    assert (len(tries), result.state, result.error_kind, stream.failures) == (3, "failed", "unavailable", 1)
    assert stream.last_error == "The marketplace is out of order just now. [orders.list 503]"
    assert SyncWindow.objects.get().status == "failed"
    toy.before = lambda window, token: None
    assert pull(account).state == "done"
    stream.refresh_from_db()
    assert (stream.failures, stream.last_error) == (0, "")


def test_being_slowed_down_is_waiting_and_no_failure(toy: Toy, account: Account):
    def slow(window, token):
        raise Throttled("The marketplace asks us to slow down.", "orders.list", after=timedelta(seconds=7))

    toy.before = slow
    result = pull(account)
    assert (result.state, result.retry_after) == ("waiting", timedelta(seconds=7))
    assert stream_of(account).failures == 0


def test_sync_waits_as_long_as_it_is_told_and_no_longer(toy: Toy, account: Account):
    toy.fill(3)
    left = [Throttled("Slow down.", "orders.list", after=timedelta(seconds=7))] * 2

    def slow(window, token):
        if left:
            raise left.pop()

    toy.before = slow
    slept: list[float] = []
    (done,) = sync([account], now=NOW, flow="orders", sleep=slept.append)
    assert (done.pulled.state, slept) == ("done", [7.0, 7.0])
    left += [Throttled("Slow down.", "orders.list", after=timedelta(hours=1))]
    (done,) = sync([account], now=LATER, flow="orders", sleep=slept.append)
    assert (done.pulled.state, len(slept)) == ("waiting", 2)


def test_a_refused_sign_in_stops_the_account_until_it_signs_in_again(toy: Toy, account: Account):
    def refuse(window, token):
        raise Unauthorized("The marketplace refused our sign-in.", "orders.list", status=401)

    toy.before = refuse
    assert pull(account).state == "failed"
    account.refresh_from_db()
    assert (account.status, "refused our sign-in" in account.status_note) == ("broken", True)
    assert pull(account).state == "off"
    assert not try_connection(account, now=NOW).ok
    toy.before = lambda window, token: None
    checked = try_connection(account, now=NOW)
    account.refresh_from_db()
    assert (checked.ok, account.status, pull(account).state) == (True, "active", "done")


def test_one_account_failing_leaves_the_others(toy: Toy, account: Account):
    other = toy_account("toy-2")
    toy.fill(3)
    failures = [KeyError("price")]

    def fail_once(window, token):
        if failures:
            raise failures.pop()

    toy.before = fail_once
    first, second = sync([account, other], now=NOW, flow="orders", sleep=lambda seconds: None)
    assert (first.pulled.state, second.pulled.state) == ("failed", "done")
    assert "Our own program failed" in stream_of(account).last_error
    assert Order.objects.filter(account=other).count() == 3


def test_a_bad_record_is_quarantined_while_its_neighbors_go_on(toy: Toy, account: Account):
    toy.fill(4, every=timedelta(minutes=10))
    toy.mangle = lambda page: {
        **page,
        "orders": [{**o, "quantity": "two"} if o["id"] == "T-001" else o for o in page["orders"]],
    }
    result = pull(account)
    assert (result.state, result.tally.quarantined, Order.objects.count()) == ("done", 1, 3)
    item = Quarantined.objects.get()
    assert (item.external_id, item.reason) == ("T-001", "The quantity is no number.")
    assert b"Buyer of" not in bytes(item.excerpt)
    assert b"Buyer of T-001" in excerpt_of(item)
    pull(account, since=NOW - timedelta(days=1))
    assert Quarantined.objects.get().seen_count == 2
    toy.mangle = lambda page: page
    pull(account, since=NOW - timedelta(days=1))
    assert Quarantined.objects.get().resolved_at == NOW
    assert Order.objects.count() == 4


def test_a_record_the_loader_cannot_store_stands_alone_in_quarantine(toy: Toy, account: Account):
    toy.page_size = 10
    toy.fill(6, every=timedelta(minutes=10))
    too_long = "X" * 500
    toy.mangle = lambda page: {
        **page,
        "orders": [{**o, "id": too_long} if o["id"] == "T-002" else o for o in page["orders"]],
    }
    result = pull(account)
    assert (result.state, result.error) == ("done", "")
    assert Order.objects.count() == 5
    assert Quarantined.objects.get().external_id == too_long[:200]


def test_what_nobody_described_is_counted_and_the_page_goes_on(toy: Toy, account: Account):
    toy.fill(2, every=timedelta(minutes=10))
    toy.mangle = lambda page: {**page, "orders": [{**o, "surprise": "new"} for o in page["orders"]]}
    assert pull(account).state == "done"
    drift = SchemaDrift.objects.get()
    assert (drift.path, drift.value, drift.seen_count) == ("orders[].surprise", "new", 2)


def test_an_unreadable_page_is_kept_and_moves_nothing(toy: Toy, account: Account):
    toy.fill(2)
    fetch = toy.fetch
    flow = connectors["toy"].flows["orders"]
    object.__setattr__(
        flow, "fetch", lambda door, window, token: RawPage(body=b"<html>busy</html>", content_type="text/html")
    )
    result = pull(account)
    assert (result.state, result.error_kind) == ("failed", "malformed")
    assert body_of(RawDocument.objects.get()) == b"<html>busy</html>"
    assert stream_of(account).complete_until is None
    object.__setattr__(flow, "fetch", fetch)
    assert pull(account).state == "done"


def test_raw_documents_hold_personal_data_encrypted_until_its_day(toy: Toy, account: Account):
    toy.fill(1)
    pull(account)
    document = RawDocument.objects.filter(size__gt=40).first()
    assert b"Buyer of" not in bytes(document.body)
    assert b"Buyer of T-000" in body_of(document)
    assert "Buyer of" in shown(document, with_people=True)
    assert "Buyer of" not in shown(document, with_people=False)
    assert raw.purge(now=NOW + timedelta(days=29)) == 0
    assert raw.purge(now=NOW + timedelta(days=31)) == RawDocument.objects.count()
    document.refresh_from_db()
    assert b"Buyer of" not in body_of(document)
    assert b"T-000" in body_of(document)
    assert BuyerContact.objects.count() == 1
    reprocess([account], now=NOW + timedelta(days=32))
    assert BuyerContact.objects.get().contact["name"] == "Buyer of T-000"


def test_a_document_with_half_a_character_can_be_shown(toy: Toy, account: Account):
    page = RawPage(body=b'{"title": "Vase \\ud83d"}', content_type="application/json")
    raw_id = raw.archive(account, "orders", connectors["toy"].flows["orders"], page, now=NOW)
    document = RawDocument.objects.get(pk=raw_id)
    for with_people in (True, False):
        assert b"Vase \\ud83d" in shown(document, with_people=with_people).encode()


def test_archiving_inside_a_transaction_is_refused(toy: Toy, account: Account):
    flow = connectors["toy"].flows["orders"]
    with pytest.raises(RuntimeError), transaction.atomic():
        raw.archive(account, "orders", flow, RawPage(body=b"{}", content_type="application/json"), now=NOW)


def test_the_same_answer_is_kept_once(toy: Toy, account: Account):
    toy.fill(2)
    pull(account)
    kept = RawDocument.objects.count()
    pull(account, since=NOW - timedelta(days=9), now=NOW)
    assert RawDocument.objects.count() <= kept + 1


def test_reprocessing_gives_the_same_rows(toy: Toy, account: Account, client_of: Client):
    toy.fill(9)
    pull(account)
    toy.orders["T-003"] = (NOW + timedelta(minutes=1), 4)
    pull(account, now=LATER)
    before = canonical_dump(client_of)
    assert reprocess([account], now=LATER).changed == 0
    Order.objects.all().delete()
    assert differences(before, canonical_dump(client_of)) != []
    done = reprocess([account], now=LATER)
    assert (done.documents > 5, done.changed > 9) == (True, True)
    assert differences(before, canonical_dump(client_of)) == []
    assert pull(account, now=LATER).gaps == 0


def test_whoever_lost_the_stream_writes_no_more(toy: Toy, account: Account):
    stream = stream_of(account)
    with claim(stream, now=NOW) as old:
        Stream.objects.filter(pk=stream.pk).update(version=old.version + 1)
        with pytest.raises(Superseded), transaction.atomic(), connection.cursor() as cursor:
            old.checkpoint(cursor, covered=(NOW - timedelta(days=1), NOW))
    assert pull(account).state == "done"


def test_a_paused_stream_is_left_alone_and_catches_up(toy: Toy, account: Account):
    toy.fill(3)
    streams.pause([stream_of(account)])
    assert (pull(account).state, toy.asked) == ("off", [])
    streams.resume([stream_of(account)])
    assert pull(account).state == "done"
    assert Order.objects.count() == 3


def test_reading_again_from_a_day_on_is_asked_for_once(toy: Toy, account: Account):
    toy.fill(9)
    pull(account)
    streams.reread(stream_of(account), since=NOW - timedelta(days=2), now=NOW)
    toy.asked.clear()
    assert pull(account).windows == 2
    assert pull(account).windows == 0


def test_old_logs_are_dropped_and_newer_ones_kept(toy: Toy, account: Account):
    pull(account)
    assert retention.forget(now=NOW + timedelta(days=89))["marketplaces.SyncWindow"] == 0
    assert retention.forget(now=NOW + timedelta(days=91))["marketplaces.SyncWindow"] == 10
    assert not SyncWindow.objects.exists()


def test_nothing_before_the_cutover_is_asked_for(toy: Toy, account: Account):
    toy.fill(9)
    Account.objects.filter(pk=account.pk).update(cutover_on=day(NOW - timedelta(days=2)))
    account.refresh_from_db()
    pull(account)
    floor = datetime(2026, 10, 29, 23, tzinfo=UTC)  # the day begins in Berlin
    assert min(window.since for window, _ in toy.asked) == floor - timedelta(minutes=10)


def test_malformed_is_told_in_words():
    assert streams.in_words(Malformed("The file is cut off.", path="row 7")) == "The file is cut off."
