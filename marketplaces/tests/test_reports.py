"""Asynchronous reports: asked for once, looked after without waiting, downloaded, given up in words."""

from __future__ import annotations

from datetime import timedelta

from catalog.models import Listing
from marketplaces.errors import Malformed
from marketplaces.models import Account, ReportJob, Stream
from marketplaces.services.pull import pull_stream
from marketplaces.services.sync import sync
from marketplaces.tests.support import NOW, Toy


def pull(account: Account, *, now=NOW, **how):
    return pull_stream(account, "offers", now=now, sleep=lambda seconds: None, **how)


def test_a_report_is_asked_for_once_and_nobody_waits_for_it(toy: Toy, account: Account):
    first = pull(account)
    assert (first.state, first.retry_after) == ("waiting", timedelta(seconds=15))
    again = pull(account)
    assert (again.state, list(toy.reports)) == ("waiting", ["R1"])


def test_a_finished_report_is_loaded_with_the_next_look(toy: Toy, account: Account):
    pull(account)
    toy.reports["R1"] = "done"
    assert pull(account, now=NOW + timedelta(seconds=5), start=False).state == "waiting"
    done = pull(account, now=NOW + timedelta(seconds=20), start=False)
    assert (done.state, done.tally.records, Listing.objects.count()) == ("done", 1, 1)
    job = ReportJob.objects.get()
    assert (job.status, job.raw_id is not None) == ("done", True)
    assert Stream.objects.get(flow="offers").complete_until == NOW + timedelta(seconds=20)


def test_a_report_that_never_finishes_expires(toy: Toy, account: Account):
    pull(account)
    pull(account, now=NOW + timedelta(hours=7), start=False)
    job = ReportJob.objects.get()
    assert (job.status, job.message) == ("expired", "The marketplace did not finish this report in time.")


def test_a_report_that_cannot_be_read_is_fetched_again_then_given_up_and_the_next_one_asked_for(
    toy: Toy, account: Account
):
    pull(account)
    toy.reports["R1"] = "done"

    def broken(page):
        raise Malformed("Row 7 is cut off.", path="row 7")
        yield

    from marketplaces.registry import connectors

    flow = connectors["toy"].flows["offers"]
    translate = flow.translate
    object.__setattr__(flow, "translate", broken)
    for status in ("ready", "ready", "ready", "ready", "failed"):
        failed = pull(account, hurry=True, start=False)
        assert (failed.state, failed.error) == ("failed", "Row 7 is cut off.")
        assert ReportJob.objects.get().status == status
    object.__setattr__(flow, "translate", translate)
    pull(account)
    assert list(toy.reports) == ["R1", "R2"]


def test_sync_looks_after_a_report_until_it_is_there(toy: Toy, account: Account):
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            toy.reports["R1"] = "done"

    (done,) = sync([account], now=NOW, flow="offers", sleep=sleep)
    assert (done.pulled.state, len(looks), Listing.objects.count()) == ("done", 3, 1)
    assert list(toy.reports) == ["R1"]
