"""What follows from each kind of error: who backs off, who waits as told, who stops, and who is not asked again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from domventas.core.jobs import firing
from domventas.core.jobs.runner import execute
from domventas.core.models import Client
from marketplaces import errors
from marketplaces.errors import BorderError, Down, Malformed, Refused, Throttled, Unauthorized, Unavailable
from marketplaces.models import Account, ReportJob, Stream
from marketplaces.services import accounts, retries, schedule, streams
from marketplaces.services.accounts import set_secrets
from marketplaces.services.claims import claim
from marketplaces.services.pull import pull_stream
from marketplaces.tests.support import NOW, Toy

MINUTE = timedelta(minutes=1)


def pull(account: Account, *, now=NOW, **how):
    return pull_stream(account, "orders", now=now, sleep=lambda seconds: None, **how)


def stream_of(account: Account, flow: str = "orders") -> Stream:
    return Stream.objects.get(account=account, flow=flow)


def failing(toy: Toy, error: Exception) -> list[str]:
    """Let every page fail; returns the list of pages that were asked for."""
    asked: list[str] = []

    def fail(window, token):
        asked.append(token)
        raise error

    toy.before = fail
    return asked


def test_every_kind_of_error_has_its_row():
    kinds = {
        found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, BorderError)
    } - {BorderError}  # fmt: skip
    assert {kind for kind in retries.RULES if kind} == kinds


def test_the_pause_doubles_from_a_minute_to_an_hour_and_is_any_part_of_that():
    error = Unavailable("No answer.")
    longest = [retries.wait(error, failures=n, chance=lambda: 1.0) for n in (1, 2, 3, 4, 5, 6, 7, 8, 99)]
    assert [wait / MINUTE for wait in longest] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert retries.wait(error, failures=5, chance=lambda: 0.25) == 4 * MINUTE
    assert retries.wait(error, failures=5, chance=lambda: 0.0) == timedelta(seconds=1)
    spread = {retries.wait(error, failures=7) for _ in range(20)}
    assert len(spread) == 20
    assert all(wait <= 60 * MINUTE for wait in spread)


@pytest.mark.parametrize("kind", [Throttled, Down, errors.NotReady, errors.Later])
def test_whoever_is_told_to_wait_waits_just_that_and_has_not_failed(kind: type[errors.Later]):
    error = kind("Later.", after=timedelta(seconds=7))
    assert retries.wait(error, failures=9) == timedelta(seconds=7)
    assert not retries.counts(error)


@pytest.mark.parametrize("kind", [Refused, Malformed, Unauthorized])
def test_what_another_try_would_not_heal_is_not_tried(kind: type[BorderError]):
    assert retries.wait(kind("No."), failures=1) is None
    assert retries.counts(kind("No."))


def test_a_stream_without_answer_is_left_alone_longer_each_time(toy: Toy, account: Account):
    asked, now, held = failing(toy, Unavailable("No answer.", "orders.list")), NOW, []
    for failures in (1, 2, 3):
        result = pull(account, now=now, due_only=True)
        stream = stream_of(account)
        assert (result.state, result.error_kind, stream.failures) == ("failed", "unavailable", failures)
        assert timedelta(0) < stream.not_before - now == result.retry_after <= MINUTE * 2 ** (failures - 1)
        held.append(pull(account, now=stream.not_before - timedelta(milliseconds=1), due_only=True).state)
        now = stream.not_before
    assert (held, len(asked)) == (["held"] * 3, 9)
    toy.before = lambda window, token: None
    assert pull(account, now=now, due_only=True).state == "done"
    stream = stream_of(account)
    assert (stream.failures, stream.not_before) == (0, None)


def test_people_who_ask_now_do_not_wait(toy: Toy, account: Account):
    failing(toy, Unavailable("No answer."))
    pull(account)
    assert pull(account).state == "failed"  # asked directly: tried, and not held
    assert stream_of(account).not_before is not None
    schedule.run_now(stream_of(account), now=NOW)
    assert stream_of(account).not_before is None
    Stream.objects.update(not_before=NOW + MINUTE)
    streams.resume([stream_of(account)])
    assert stream_of(account).not_before is None
    Stream.objects.update(not_before=NOW + MINUTE)
    accounts.resume(account)
    assert stream_of(account).not_before is None


def test_a_marketplace_that_is_down_makes_the_stream_wait_in_words(toy: Toy, account: Account):
    told = "toy.example does not answer; we ask again at 12:01:00 UTC."
    failing(toy, Down(told, "orders.list", after=MINUTE))
    result = pull(account)
    stream = stream_of(account)
    assert (result.state, result.error_kind, result.retry_after) == ("waiting", "down", MINUTE)
    assert (stream.failures, stream.not_before, stream.last_error) == (0, NOW + MINUTE, f"{told} [orders.list]")


@pytest.mark.parametrize("error", [Refused("Bad request."), Malformed("Not JSON.")])
def test_a_refused_or_unreadable_answer_waits_for_the_next_turn(toy: Toy, account: Account, error: BorderError):
    asked = failing(toy, error)
    result = pull(account, due_only=True)
    assert (result.state, result.retry_after, len(asked)) == ("failed", None, 1)
    assert stream_of(account).not_before is None


def test_a_refused_sign_in_stops_this_account_unless_its_secrets_are_newer(toy: Toy, account: Account):
    refused = Unauthorized("Consent was withdrawn.", "token")
    with claim(stream_of(account), now=NOW) as held:
        set_secrets(account, {"key": "a-newer-secret"}, now=NOW + MINUTE)
        streams.failed(account, held, refused, now=NOW)
        account.refresh_from_db()
        assert account.status == "active"
        streams.failed(account, held, refused, now=NOW + 2 * MINUTE)
    account.refresh_from_db()
    assert (account.status, account.status_note) == ("broken", "Consent was withdrawn. [token]")
    assert account.pk not in schedule.members("toy")


def test_a_report_that_is_refused_is_given_up_and_one_without_answer_tried_again(toy: Toy, account: Account):
    def look(error: BorderError) -> ReportJob:
        flow = schedule.connectors["toy"].flows["offers"].reports

        def poll(door, ref):
            raise error

        object.__setattr__(flow, "poll", poll)
        pull_stream(account, "offers", now=NOW, hurry=True, sleep=lambda seconds: None)
        return ReportJob.objects.latest("pk")

    pull_stream(account, "offers", now=NOW)
    waiting = look(Unavailable("No answer."))
    assert (waiting.status, waiting.attempts) == ("requested", 0)  # an outage uses up no try
    assert NOW < waiting.next_poll_at <= NOW + MINUTE
    given_up = look(Refused("No such report."))
    assert (given_up.status, given_up.message) == ("failed", "No such report.")


def test_a_run_of_the_timetable_comes_back_when_it_was_told_to(toy: Toy, account: Account, client_of: Client):
    failing(toy, Throttled("Slow down.", "orders.list", after=timedelta(minutes=5)))
    run = firing.enqueue("orders.pull.toy", account_id=account.pk, now=timezone.now())
    execute("orders.pull.{channel}", client_of.pk, run.pk)
    run.refresh_from_db()
    assert (run.state, run.errors, run.note) == ("queued", 0, "Slow down. [orders.list]")
    assert 290 <= (run.not_before - timezone.now()).total_seconds() <= 300
    following = firing.enqueue("orders.pull.toy", account_id=account.pk, now=timezone.now())
    assert following.pk != run.pk
    toy.asked.clear()
    execute("orders.pull.{channel}", client_of.pk, following.pk)
    following.refresh_from_db()
    assert (following.state, toy.asked) == ("done", [])
