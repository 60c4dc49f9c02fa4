"""Asynchronous reports: asked for or found, looked after, downloaded, loaded; a row each, and nobody waits for one."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Final

from django.db import connection
from django.db.models import QuerySet

from marketplaces.errors import BorderError, Later, Malformed, Refused, Unauthorized
from marketplaces.models import ReportJob
from marketplaces.port import ReportFound, Reports
from marketplaces.records import Rejected
from marketplaces.services import quarantine, retries, windows
from marketplaces.services.claims import Span
from marketplaces.services.reader import Reader

Status = ReportJob.Status
#: Not finished yet.
OPEN: Final = (Status.REQUESTED, Status.PROCESSING, Status.READY)
#: A report we asked for that is not done after this long will not come any more; one the marketplace makes by itself
#: has the time it is listed for.
DEADLINE: Final = timedelta(hours=6)
#: The next look comes after so long, doubled with each look up to the longest.
FIRST_LOOK: Final = timedelta(seconds=15)
LONGEST_LOOK: Final = timedelta(minutes=15)
#: Looks or downloads that fail before a report is given up.
TRIES: Final = 5

_FOUND: Final = {
    "processing": Status.PROCESSING,
    "done": Status.READY,
    "empty": Status.EMPTY,
    "failed": Status.FAILED,
    "expired": Status.EXPIRED,
}


def read_reports(reader: Reader) -> None:
    """Take each report of the stream one step further, and begin new ones where time is missing.

    Sets the reading to `waiting` while a report is under way. One report's failure does not stop the others.

    Raises: BorderError: what the last failing report met, or that it will not come.
    """
    reports = reader.flow.reports
    if reports is None:
        raise TypeError(f"{reader.stream.flow} is not read by report")
    if reader.start:
        _begin(reader, reports)
    elif not _under_way(reader).exists():
        reader.is_idle = True
        return
    problem: BorderError | None = None
    behind: set[object] = set()  # a later report of one period may correct the earlier one, never the other way round
    for job in _under_way(reader).order_by("created_at", "pk"):
        period = (job.window.lower, job.window.upper) if job.window else job.report_ref
        if period in behind or not (reader.hurry or job.next_poll_at <= reader.now):
            behind.add(period)
            continue
        met = _try(reader, reports, job)
        if met is not None:
            problem = met
            behind.add(period)
    if problem is not None:
        raise problem
    following = _under_way(reader).order_by("next_poll_at").values_list("next_poll_at", flat=True).first()
    if following is not None:
        reader.result.state = "waiting"
        reader.result.retry_after = max(following - reader.now, timedelta(0))


def _under_way(reader: Reader) -> QuerySet[ReportJob]:
    return ReportJob.objects.filter(stream=reader.stream, status__in=OPEN)


# ── beginning ───────────────────────────────────────────────────────────────────────────────────────────────────────
def _begin(reader: Reader, reports: Reports) -> None:
    if reports.discover is not None:
        for span in windows.cut(reader.plan(), reader.flow.window):
            _discover(reader, reports, span)
    elif reader.flow.snapshot:
        if not _under_way(reader).exists():
            _request(reader, reports, (reader.now - reader.flow.window, reader.now))
    else:
        asked = [window for window in _under_way(reader).values_list("window", flat=True) if window is not None]
        for span in windows.cut(reader.plan(), reader.flow.window):
            if not any(window.lower <= span[0] < window.upper for window in asked):
                _request(reader, reports, span)


def _discover(reader: Reader, reports: Reports, span: Span) -> None:
    """Find the reports the marketplace made by itself in a window; it is covered once all are written down.

    A report that was loaded before is loaded again if its window was opened again.
    """
    reader.open_log(span, "poll" if reader.since is None else "asked")
    ask, token, seen = windows.asked(span, reader.flow, now=reader.now), "", {""}
    found: list[ReportFound] = []
    while True:
        if reports.discover is None:
            raise TypeError("these reports are requested, not found")
        page, token = reports.discover(reader.session, ask, token)
        found += page
        if not token:
            break
        if token in seen:
            raise Malformed("The marketplace repeats its page mark; following it would never end.")
        seen.add(token)
    with reader.step(), connection.cursor() as cursor:
        reader.held.checkpoint(cursor, covered=span)
        _write_down(reader, found)
    reader.told(f"{span[0]:%Y-%m-%d} – {span[1]:%Y-%m-%d}: {len(found)} reports listed")
    reader.result.windows += 1
    reader.close_log()


def _write_down(reader: Reader, found: list[ReportFound]) -> None:
    refs = {each.report_ref: each for each in sorted(found, key=lambda each: each.made_at or reader.now)}
    known = dict(
        ReportJob.objects.filter(stream=reader.stream, report_ref__in=list(refs)).values_list("report_ref", "status")
    )
    ReportJob.objects.bulk_create(
        ReportJob(
            stream=reader.stream,
            report_ref=each.report_ref,
            document_ref=each.document_ref,
            window=(each.since, each.until) if each.since and each.until and each.since < each.until else None,
            # One that failed is looked after once, too, so that people hear of it.
            status=Status.PROCESSING if each.status == "failed" else _FOUND.get(each.status, Status.PROCESSING),
            next_poll_at=reader.now,
            created_at=reader.now,
        )
        for ref, each in refs.items()
        if ref not in known
    )
    if reader.since is not None or reader.result.gaps:
        again = [ref for ref, status in known.items() if status not in OPEN]
        jobs = ReportJob.objects.filter(stream=reader.stream, report_ref__in=again)
        jobs.update(status=Status.READY, next_poll_at=reader.now, attempts=0)


def _request(reader: Reader, reports: Reports, span: Span) -> None:
    """Ask for a report of a window."""
    if reports.request is None:
        raise TypeError("these reports are found, not requested")
    ask = windows.asked(span, reader.flow, now=reader.now)
    ref = reports.request(reader.session, ask)
    with reader.step(), connection.cursor() as cursor:
        reader.held.checkpoint(cursor)
        ReportJob.objects.get_or_create(
            stream=reader.stream,
            report_ref=ref,
            defaults={
                "window": span,
                "status": Status.REQUESTED,
                "next_poll_at": reader.now + FIRST_LOOK,
                "created_at": reader.now,
            },
        )
    reader.told(f"report {ref[:60]} asked for")


# ── looking after ───────────────────────────────────────────────────────────────────────────────────────────────────
def _try(reader: Reader, reports: Reports, job: ReportJob) -> BorderError | None:
    """Take a report one step further. Returns: what it met, or that it will not come. Raises: Later, Unauthorized."""
    try:
        _advance(reader, reports, job)
    except (Later, Unauthorized):
        raise
    except BorderError as error:
        _stumble(reader, job, error)
        return error
    return Refused(job.message) if job.status in (Status.FAILED, Status.EXPIRED) else None


def _advance(reader: Reader, reports: Reports, job: ReportJob) -> None:
    """One step: look how far a report is; if it is done, fetch and load it."""
    if job.status != Status.READY:
        _look(reader, reports, job)
    if job.status == Status.READY:
        _download(reader, reports, job)


def _look(reader: Reader, reports: Reports, job: ReportJob) -> None:
    state = reports.poll(reader.session, job.report_ref)
    job.status = _FOUND.get(state.status, Status.PROCESSING)
    job.message = state.message[:500]
    job.report_ref = state.report_ref or job.report_ref
    job.document_ref = state.document_ref or job.document_ref
    if job.status == Status.PROCESSING:
        job.attempts += 1
        job.next_poll_at = reader.now + min(FIRST_LOOK * 2 ** min(job.attempts, 10), LONGEST_LOOK)
        if job.created_at < reader.now - (DEADLINE if reports.request else reader.flow.history):
            job.status, job.message = Status.EXPIRED, "The marketplace did not finish this report in time."
    else:
        job.attempts = 0
    if job.status not in OPEN:
        job.ended_at = reader.now
    if job.status in (Status.FAILED, Status.EXPIRED):
        job.message = job.message or "The marketplace could not make the report."
        if reports.request is None:  # nobody asks for it anew
            _name(reader, job, job.message)
    if job.status == Status.EMPTY:
        _cover(reader, job)
    job.save()
    reader.told(f"report {job.report_ref[:60]}: {job.get_status_display()}")


def _download(reader: Reader, reports: Reports, job: ReportJob) -> None:
    """Fetch and load the document, part by part; what is loaded is not fetched again if a later part has to wait."""
    covered = None
    if reports.request is not None and not reader.flow.snapshot and job.window is not None:
        covered = (job.window.lower, job.window.upper)
    while job.status == Status.READY:
        download = partial(reports.download, reader.session, job.document_ref or job.report_ref)
        page = download()
        left = page.next_token

        def finish(raw_id: int, left: str = left) -> None:
            job.message, job.raw_id, job.document_ref = "", raw_id, left or job.document_ref
            if not left:
                job.status, job.ended_at = Status.DONE, reader.now
            job.save()

        try:
            reader.intake.take(page, window=None if left else covered, again=download, also=finish)
        except Malformed as error:
            error.is_document = True
            raise
    reader.told(f"report {job.report_ref[:60]}: loaded")


def _cover(reader: Reader, job: ReportJob) -> None:
    """A report of nothing covers its window too."""
    reports = reader.flow.reports
    if reports is None or reports.request is None or reader.flow.snapshot or job.window is None:
        return
    with reader.step(), connection.cursor() as cursor:
        reader.held.checkpoint(cursor, covered=(job.window.lower, job.window.upper))


def _stumble(reader: Reader, job: ReportJob, error: BorderError) -> None:
    """Note what a report met.

    One that is refused is given up at once, one whose document cannot be read after so many tries; its bytes are in the
    archive. An outage gives nothing up: whoever comes back after a day still has the reports of that day. One that was
    asked for is asked for anew.
    """
    job.refresh_from_db()
    is_final = isinstance(error, Malformed) and error.is_document
    job.attempts += is_final
    job.message = str(error)[:500]
    wait = retries.wait(error, failures=max(job.attempts, 1))
    job.next_poll_at = reader.now + (wait or LONGEST_LOOK)
    if isinstance(error, Refused) or (is_final and job.attempts >= TRIES):
        job.status, job.ended_at = Status.FAILED, reader.now
        _name(reader, job, error.message)
    elif job.created_at < reader.now - DEADLINE and reader.flow.reports and reader.flow.reports.request:
        job.status, job.ended_at = Status.EXPIRED, reader.now
    job.save()


def _name(reader: Reader, job: ReportJob, reason: str) -> None:
    """Put a report that is given up among what waits for people."""
    given_up = Rejected(path=quarantine.REPORT, reason=reason, excerpt=b"", external_id=job.report_ref)
    quarantine.put(reader.stream, [given_up], raw_id=job.raw_id, now=reader.now)
