"""What a page says that cannot be right is believed only when the marketplace says it twice."""

from __future__ import annotations

import hashlib
from typing import Any

from marketplaces.models import Account, Quarantined, RawDocument, Stream
from marketplaces.services.pull import pull_stream
from marketplaces.services.reprocess import reprocess
from marketplaces.tests.support import NOW, Toy
from orders.models import Order


class Spoiler:
    """Spoils records of the answers it is told to, counted from 1."""

    def __init__(self, toy: Toy, answers: dict[int, dict[str, Any]]) -> None:
        self.answers, self.count = answers, 0
        toy.mangle = self

    def __call__(self, page: dict[str, Any]) -> dict[str, Any]:
        self.count += 1
        if self.count in self.answers and page["orders"]:
            page["orders"][0] |= self.answers[self.count]
        return page


def pull(account: Account) -> Any:
    return pull_stream(account, "orders", now=NOW)


def test_a_record_spoiled_on_its_way_is_asked_for_again_and_never_quarantined(toy: Toy, account: Account):
    toy.fill(2)
    Spoiler(toy, {toy_page: {"quantity": "two"} for toy_page in (10,)})  # the newest day, where both orders are
    done = pull(account)
    assert (done.state, done.tally.records, done.tally.quarantined) == ("done", 2, 0)
    assert Order.objects.count() == 2
    assert not Quarantined.objects.exists()


def test_a_record_that_is_wrong_twice_is_quarantined_and_costs_no_second_call_later(toy: Toy, account: Account):
    toy.fill(2)
    spoiler = Spoiler(toy, {number: {"quantity": "two"} for number in range(1, 100)})
    done = pull(account)
    assert (done.state, Order.objects.count(), Quarantined.objects.count()) == ("done", 1, 1)
    asked = spoiler.count
    assert asked == 11
    Stream.objects.update(coverage="{}")
    pull(account)
    assert spoiler.count == asked + 10


def test_a_page_that_comes_differently_each_time_is_left_for_later(toy: Toy, account: Account):
    toy.fill(2)
    Spoiler(toy, {number: {"quantity": f"wrong {number}"} for number in range(10, 100)})
    failed = pull(account)
    assert failed.state == "failed"
    assert "differently each time" in failed.error
    assert (Order.objects.count(), Quarantined.objects.filter(external_id="T-000").count()) == (0, 0)
    toy.mangle = lambda page: page
    assert pull(account).state == "done"
    assert Order.objects.count() == 2


def test_an_answer_that_was_not_believed_is_kept_but_never_read_again(toy: Toy, account: Account):
    toy.fill(2)
    Spoiler(toy, {10: {"quantity": "two"}})
    pull(account)
    assert RawDocument.objects.filter(context__has_key="set_aside").count() == 1
    again = reprocess([account], now=NOW, flow="orders")
    assert (again.quarantined, again.changed) == (0, 0)


def test_an_answer_nobody_can_read_leaves_its_beginning_in_quarantine_until_the_stream_is_well(
    toy: Toy, account: Account
):
    from marketplaces.errors import Malformed

    def html(window: Any, token: str) -> None:
        raise Malformed("The answer is not proper JSON.", operation="orders.search", excerpt="<html>back soon")

    toy.fill(2)
    healthy, toy.before = toy.before, html
    assert pull(account).state == "failed"
    (waiting,) = Quarantined.objects.filter(resolved_at=None)
    assert (waiting.path, waiting.external_id) == ("orders.search", "answer to orders.search")
    assert waiting.fingerprint == hashlib.sha256(b"answer to orders.search").hexdigest()
    toy.before = healthy
    assert pull(account).state == "done"
    assert not Quarantined.objects.filter(resolved_at=None).exists()
