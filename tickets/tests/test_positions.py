"""The starting position: what grows slowly still opens, and the dearest findings are picked first."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from domventas.core.models import Client
from domventas.core.tenancy import current
from domventas.core.testing import is_locked
from marketplaces.models import Account, Stream
from tickets.models import Finding, StartingPosition
from tickets.services import workflow
from tickets.tests.test_engine import DAY, NOW, Bench


@pytest.fixture
def bench(acting: Client) -> Bench:
    account = Account.objects.create(code="amazon-eu", name="Amazon EU", channel="amazon", external_id="X")
    Stream.objects.create(account=account, flow="orders", complete_until=NOW)
    return Bench(account)


def test_a_finding_of_the_start_that_grows_a_little_every_day_opens_in_the_end(bench: Bench) -> None:
    opened = 0
    for day, amount in enumerate(("-30.00", "-33.00", "-36.00", "-39.00")):
        bench.sees("a", amount=Decimal(amount))
        opened += bench.run(NOW + day * DAY).opened
    assert opened == 1


def test_a_finding_of_the_start_is_not_compared_across_currencies(bench: Bench) -> None:
    bench.sees("a", amount=Decimal("-30.00"))
    bench.run(NOW)
    bench.sees("a", amount=Decimal("-330.00"), currency="SEK")
    assert bench.run(NOW + timedelta(days=1)).opened == 0


def test_the_worst_of_a_position_are_the_dearest_not_those_without_an_amount(bench: Bench) -> None:
    bench.seen = [bench.item("unknown", amount=None, currency=""), bench.item("dear", amount=Decimal("-900.00"))]
    bench.run(NOW)
    workflow.pick_from_position(StartingPosition.objects.get(), worst=1, actor="olga", now=NOW)
    assert list(Finding.objects.filter(state="open").values_list("fingerprint", flat=True)) == ["dear"]


def test_two_runs_of_one_client_do_not_overlap(bench: Bench) -> None:
    client = current().one
    assert not is_locked(f"detect {client}")
    bench.run(NOW)
    assert is_locked(f"detect {client}")
