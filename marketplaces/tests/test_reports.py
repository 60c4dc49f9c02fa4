"""Asynchronous reports: asked for once, looked after without waiting, downloaded, given up in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from catalog.models import Listing
from marketplaces.errors import Forbidden, Malformed, Throttled
from marketplaces.models import Account, Quarantined, ReportJob, Stream
from marketplaces.port import Door, RawPage, Reports, ReportState, Window
from marketplaces.registry import connectors
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


def test_looking_after_no_report_is_no_reading(toy: Toy, account: Account):
    """The look every two minutes must not make a flow look fresh that nobody has read, nor well that has failed."""
    pull(account, start=False)
    stream = Stream.objects.get(account=account, flow="offers")
    assert (stream.last_success_at, stream.complete_until) == (None, None)
    pull(account)
    toy.reports["R1"] = "done"
    pull(account, now=NOW + timedelta(seconds=20), start=False)
    offers = connectors["toy"].flows["offers"]

    def forbidden(door: Door, window: Window) -> str:
        raise Forbidden("The role is missing.")

    object.__setattr__(offers, "reports", replace(offers.reports, request=forbidden))
    pull(account, now=NOW + timedelta(hours=4))
    looked = pull(account, now=NOW + timedelta(hours=6), start=False)
    stream.refresh_from_db()
    assert looked.state == "done"
    assert stream.complete_until == stream.last_success_at == NOW + timedelta(seconds=20)
    assert (stream.last_error_kind, stream.failures) == ("forbidden", 1)


def test_a_report_the_marketplace_cannot_make_is_no_reading(toy: Toy, account: Account):
    pull(account)
    toy.reports["R1"] = "failed"
    result = pull(account, now=NOW + timedelta(minutes=1), start=False)
    assert (result.state, result.error) == ("failed", "The marketplace could not make the report.")
    stream = Stream.objects.get(account=account, flow="offers")
    assert (stream.complete_until, stream.last_error, stream.failures) == (None, result.error, 1)
    assert ReportJob.objects.get().status == "failed"
    assert not Quarantined.objects.exists(), "it is asked for anew at the next turn, so nobody has to do anything"
    pull(account, now=NOW + timedelta(hours=4))
    assert list(toy.reports) == ["R1", "R2"]


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


def in_parts(toy: Toy) -> list[str]:
    """Let the toy's offers be asked for and downloaded in two parts; what was downloaded, in order."""
    offers, fetched = connectors["toy"].flows["offers"], list[str]()

    def poll(door: Door, ref: str) -> ReportState:
        if ref == "R1":
            return ReportState(status="processing", report_ref="R1+R2" + "x" * 300)
        return ReportState(status="done", document_ref="first+second")

    def download(door: Door, ref: str) -> RawPage:
        if ref == "second" and fetched == ["first+second"]:
            fetched.append("")
            raise Throttled("slowly", after=timedelta(seconds=30))
        fetched.append(ref)
        context = {"seen_at": NOW.isoformat()}
        if ref == "second":
            return RawPage(body=b"T-TWO;2.00", content_type="text/csv", context=context, name="two")
        return RawPage(body=b"T-ONE;1.00", content_type="text/csv", context=context, name="one", next_token="second")

    object.__setattr__(offers, "reports", Reports(request=toy.request, poll=poll, download=download))
    return fetched


def test_a_report_in_parts_goes_on_where_the_budget_stopped_it(toy: Toy, account: Account):
    fetched = in_parts(toy)
    pull(account)
    assert pull(account, hurry=True).state == "waiting"
    assert ReportJob.objects.get().report_ref == "R1+R2" + "x" * 300
    stopped = pull(account, hurry=True)
    assert (stopped.state, stopped.retry_after) == ("waiting", timedelta(seconds=30))
    job = ReportJob.objects.get()
    assert (job.status, job.document_ref, Listing.objects.count()) == ("ready", "second", 1)
    assert pull(account, hurry=True).state == "done"
    job.refresh_from_db()
    assert (job.status, job.ended_at, Listing.objects.count()) == ("done", NOW, 2)
    assert fetched == ["first+second", "", "second"]
    assert list(toy.reports) == ["R1"]


def test_sync_looks_after_a_report_until_it_is_there(toy: Toy, account: Account):
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            toy.reports["R1"] = "done"

    (done,) = sync([account], now=NOW, flow="offers", sleep=sleep)
    assert (done.pulled.state, len(looks), Listing.objects.count()) == ("done", 3, 1)
    assert list(toy.reports) == ["R1"]
