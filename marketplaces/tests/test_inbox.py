"""The address marketplaces send to: what is proved is kept once and answered at once, everything else is refused."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now as clock

from domventas.core import retention, tenancy
from domventas.core.models import Client, Dispatch, Route, TaskRun
from domventas.core.traces import Wanted
from marketplaces.models import Account, InboundEvent, Inlet
from marketplaces.port import Limit
from marketplaces.services import inbox, inlets
from marketplaces.services.inlets import OVERLAP, close, open_webhook, set_secret
from marketplaces.tasks import remove_personal_data
from marketplaces.tests.sending import HEADER, SECRET, message, signature
from marketplaces.tests.support import Toy

BODY = message("e-1", "T-001")
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def inlet(account: Account) -> Inlet:
    return open_webhook(account, secret=SECRET, now=clock())


def post(inlet: Inlet, body: bytes = BODY, *, signed: str | None = None, **more):
    headers = {HEADER: signature(body) if signed is None else signed} if signed != "" else {}
    return Browser().post(f"/in/{inlet.key}", body, content_type=more.pop("content_type", "application/json"),
                          headers=headers, **more)  # fmt: skip


def stored() -> int:
    return InboundEvent.objects.count()


def test_a_signed_message_is_kept_and_a_drain_asked_for(inlet: Inlet):
    assert post(inlet).status_code == 200
    event = InboundEvent.objects.get()
    assert (event.event_id, event.ref, event.flow, event.state) == ("e-1", "T-001", "orders", "waiting")
    assert b"T-001" not in bytes(event.body)
    assert inbox.body_of(event) == BODY
    run = TaskRun.objects.get()
    assert (run.task, run.account_id) == ("events.drain.toy", inlet.account_id)
    assert Dispatch.objects.get().run_id == run.pk


def test_a_repetition_is_answered_like_the_first_and_adds_nothing(inlet: Inlet):
    signed = signature(BODY)
    assert {post(inlet, signed=signed).status_code for _ in range(5)} == {200}
    assert (stored(), TaskRun.objects.count(), Dispatch.objects.count()) == (1, 1, 1)


def test_many_messages_ask_for_one_run_only(inlet: Inlet):
    for number in range(4):
        assert post(inlet, message(f"e-{number}", f"T-{number}")).status_code == 200
    assert (stored(), TaskRun.objects.count()) == (4, 1)


def test_a_run_that_has_begun_is_no_run_to_wait_for(inlet: Inlet):
    post(inlet)
    TaskRun.objects.update(state="running")
    post(inlet, message("e-2", "T-002"))
    assert TaskRun.objects.count() == 2


FORGED = {
    "no signature": "",
    "an empty one": " ",
    "no time": "v1=" + "0" * 64,
    "a time that is none": "t=now,v1=" + "0" * 64,
    "a time of Arabic digits": "t=١٢٣,v1=" + "0" * 64,
    "two times": signature(BODY) + ",t=1",
    "another body's": signature(BODY + b" "),
    "another secret's": signature(BODY, "another-secret-of-the-tests"),
    "cut short": signature(BODY)[:-1],
    "no hexadecimals": signature(BODY)[:-1] + "g",
    "only a time": signature(BODY).split(",")[0],
    "another version": signature(BODY).replace("v1=", "v0="),
    "an old one": signature(BODY, at=datetime.now(UTC) - timedelta(days=2)),
    "one from the future": signature(BODY, at=datetime.now(UTC) + timedelta(days=2)),
    "a hundred guesses": signature(BODY).split(",")[0] + ",v1=" + ",v1=".join(f"{n:064x}" for n in range(100)),
    "not ASCII": "t=1,v1=é",
}


@pytest.mark.parametrize("signed", FORGED.values(), ids=FORGED)
def test_a_forged_message_is_refused_and_leaves_nothing(inlet: Inlet, signed: str, caplog):
    caplog.set_level(logging.DEBUG)
    answer = post(inlet, signed=signed)
    assert (answer.status_code, answer.content, stored()) == (401, b"", 0)
    assert SECRET not in caplog.text
    assert "T-001" not in caplog.text


def test_the_signature_is_over_the_very_bytes(inlet: Inlet):
    spaced = BODY.replace(b":", b" : ")
    assert post(inlet, spaced, signed=signature(BODY)).status_code == 401
    assert post(inlet, spaced).status_code == 200


def test_a_signed_time_counts_for_five_minutes_either_way(inlet: Inlet):
    for seconds, status in ((-270, 200), (295, 200), (-310, 401), (330, 401)):
        body = message(f"e{seconds}", "T-001")
        assert post(inlet, body, signed=signature(body, at=clock() + timedelta(seconds=seconds))).status_code == status


def test_while_secrets_change_both_count_and_then_only_the_new_one(inlet: Inlet):
    new = "the-next-secret-of-the-tests"
    set_secret(inlet, new, now=clock() - OVERLAP + timedelta(minutes=1))
    for number, secret in enumerate((SECRET, new)):
        body = message(f"e-{number}", "T-001")
        assert post(inlet, body, signed=signature(body, secret)).status_code == 200
    inlet.refresh_from_db()
    assert inlets.active_secrets(inlet, now=clock() + timedelta(minutes=2)) == [new]
    set_secret(inlet, "one-more-secret-of-the-tests", now=clock(), overlap=timedelta(0))
    body = message("e-3", "T-001")
    assert post(inlet, body, signed=signature(body, SECRET, new)).status_code == 401


def test_an_unknown_or_closed_address_is_not_there(inlet: Inlet, client_of: Client):
    assert Browser().post("/in/nobody", BODY, content_type="text/plain").status_code == 404
    close(inlet, now=clock())
    assert post(inlet).status_code == 404
    assert not Route.objects.exists()
    inlet.refresh_from_db()
    assert inlet.secrets == {}


def test_a_client_that_is_gone_has_no_address(inlet: Inlet, client_of: Client):
    Client.objects.update(active=False)
    assert post(inlet).status_code == 404


def test_a_message_that_is_too_long_is_not_even_read(inlet: Inlet):
    class Unreadable:
        def read(self, *_size):
            raise AssertionError("the body was read")

        readline = read

    answer = Browser().generic("POST", f"/in/{inlet.key}", b"", CONTENT_LENGTH=str(256 * 1024 + 1),
                               **{"wsgi.input": Unreadable()})  # fmt: skip
    assert (answer.status_code, stored()) == (413, 0)
    longest = b'{"pad": "' + b"x" * (256 * 1024 - len(BODY) - 11) + b'", ' + BODY[1:]
    assert len(longest) == 256 * 1024
    assert post(inlet, longest).status_code == 200
    assert InboundEvent.objects.get().ref == "T-001"


def test_only_messages_are_taken(inlet: Inlet):
    assert Browser().get(f"/in/{inlet.key}").status_code == 405
    assert Browser().put(f"/in/{inlet.key}", BODY).status_code == 405


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_wrong_content_type_is_overlooked(inlet: Inlet, kind: str):
    assert post(inlet, content_type=kind).status_code == 200
    assert InboundEvent.objects.get().ref == "T-001"


def test_what_is_signed_and_unreadable_is_kept_for_people(inlet: Inlet):
    for body in (b"\xff\x00 no JSON", b"[1]", b'{"id": 5}'):  # the last one has no kind
        assert [post(inlet, body).status_code for _ in range(2)] == [200, 200]
    assert set(InboundEvent.objects.values_list("state", "kind")) == {("failed", "unreadable")}
    assert stored() == 3
    assert not TaskRun.objects.exists()


def test_a_kind_nobody_here_asks_for_is_kept_and_ignored(inlet: Inlet):
    post(inlet, message("e-1", "", kind="price.changed", flow=""))
    post(inlet, message("e-2", "X", kind="review", flow="reviews"))
    assert list(InboundEvent.objects.values_list("state", flat=True)) == ["ignored"] * 2
    assert not TaskRun.objects.exists()


def test_odd_characters_and_long_ids_are_kept_as_far_as_they_can_be(inlet: Inlet):
    odd = message("e\0-\ud800", "T-\0 1", kind="k" * 200)
    long = [message("x" * 300 + end, "T-001") for end in "ab"]
    assert [post(inlet, body).status_code for body in (odd, odd, *long)] == [200] * 4
    assert set(InboundEvent.objects.values_list("ref", flat=True)) == {"T-\ufffd 1", "T-001"}
    assert stored() == 3


def test_an_address_takes_only_so_many_at_once(inlet: Inlet, monkeypatch):
    monkeypatch.setattr("marketplaces.pages.inbox.RATE", Limit(rate=0.01, burst=3))
    said = [post(inlet, message(f"e-{n}", "T-001")) for n in range(5)]
    taken = [answer.status_code for answer in said].count(200)
    assert [answer.status_code for answer in said] == [200] * taken + [429] * (5 - taken)
    assert (2 <= taken <= 3, stored()) == (True, taken)
    assert 50 <= int(said[4]["Retry-After"]) <= 200


def test_the_answer_takes_few_queries_whatever_waits(inlet: Inlet):
    post(inlet)
    with CaptureQueriesContext(connection) as few:
        post(inlet, message("e-2", "T-002"))
    for number in range(20):
        post(inlet, message(f"f-{number}", "T-002"))
    with CaptureQueriesContext(connection) as many:
        post(inlet, message("e-3", "T-003"))
    assert len(few) == len(many) <= 12


def test_an_event_of_one_client_is_none_of_anothers(inlet: Inlet):
    post(inlet)
    other = Client.objects.create(slug="other-house", name="Other House")
    with tenancy.acting_for(other):
        assert stored() == 0
        assert not Inlet.objects.exists()


def test_bodies_go_when_their_time_is_over_and_the_event_stays(inlet: Inlet):
    post(inlet)
    assert inbox.purge(now=clock() + timedelta(days=29)) == 0
    assert inbox.purge(now=clock() + timedelta(days=31)) == 1
    event = InboundEvent.objects.get()
    assert (event.body, event.ref, inbox.body_of(event)) == (None, "T-001", b"")
    InboundEvent.objects.update(state="done", ended_at=clock())
    retention.forget(now=clock() + timedelta(days=89))
    assert stored() == 1
    retention.forget(now=clock() + timedelta(days=91))
    assert stored() == 0


def test_an_erased_buyer_is_in_no_message_any_more(inlet: Inlet):
    for number in range(3):
        post(inlet, message(f"e-{number}", f"T-00{number}", buyer="Marlene Moritz" if number == 2 else "somebody"))
    wanted = Wanted(words=frozenset({"marlene moritz"}), orders=frozenset({(inlet.account_id, "T-001")}))
    assert inbox.forget_people(wanted, clock()) == 2
    assert set(InboundEvent.objects.filter(body=None).values_list("ref", flat=True)) == {"T-001", "T-002"}


def test_the_nightly_job_removes_bodies(inlet: Inlet):
    post(inlet)
    InboundEvent.objects.update(purge_at=clock())
    remove_personal_data(None)
    assert InboundEvent.objects.get().body is None


def test_an_inlet_needs_a_secret_nobody_guesses_and_a_marketplace_that_sends(toy: Toy, account: Account):
    with pytest.raises(inlets.Refused, match="at least 16"):
        open_webhook(account, secret="short", now=NOW)
    amazon = Account.objects.create(code="a", name="a", channel="amazon", external_id="A")
    with pytest.raises(inlets.Refused, match="no webhooks"):
        open_webhook(amazon, secret=SECRET, now=NOW)
    with pytest.raises(inlets.Refused, match="no queue"):
        inlets.open_queue(account, now=NOW)


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest/x/y", "https://sqs.eu-west-1.amazonaws.com.evil.example/123456789012/q",
     "https://sqs.eu-west-1.amazonaws.com/123456789012/q/../../x", "http://sqs.eu-west-1.amazonaws.com/123456789012/q"],
)  # fmt: skip
def test_a_queue_at_another_host_is_refused(toy: Toy, url: str):
    amazon = Account.objects.create(code="a", name="a", channel="amazon", external_id="A", environment="live")
    with pytest.raises(inlets.Refused, match="no address of an SQS queue"):
        inlets.open_queue(amazon, queue_url=url, key_id="k", secret="s" * 20, now=NOW)
    assert not Route.objects.exists()
