"""People at the money pages for tests: they open pages and files, and find a statement with something wrong in it."""

from __future__ import annotations

import csv
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now as clock

from domventas.core.models import Client, Membership, User
from domventas.core.roles import Role
from domventas.core.times import day_in
from finance.models import Settlement
from finance.services.reconcile import reconcile
from finance.tests.golden import NOW, article, settled, sold
from marketplaces.models import Account

HOME = "/c/dom-ventas/money"
GOODS = {"item_price": "41.85", "item_tax": "7.95"}
RIGHT = {**GOODS, "referral_fee": "-8.89", "fulfillment_fee": "-3.87"}


def today() -> date:
    """The day of the pages: the client's, which at night is not that of UTC."""
    return day_in(Client._meta.get_field("zone").default, clock())


def browser(client: Client, role: Role) -> Browser:
    """Somebody in that role."""
    user, _ = User.objects.get_or_create(email=f"{role}@example.com")
    Membership.objects.get_or_create(user=user, client=client, defaults={"role": role})
    found = Browser()
    found.force_login(user)
    return found


def overcharged(of: Account, count: int, *, ref: str = "S1", each: str = "-10.11") -> Settlement:
    """A statement of orders charged too much, each by another amount and so a finding of its own; one is right."""
    rows: list[Any] = []
    for number in range(count + 1):
        line = sold(of, f"{ref}-O{number}", GOODS, sku=article())
        fee = "-8.89" if number == count else str(Decimal(each) - number * Decimal("0.07"))
        rows += [(line, "sale", kind, amount) for kind, amount in {**RIGHT, "referral_fee": fee}.items()]
    head = settled(of, rows, ref=ref)
    reconcile(now=NOW, full=True)
    return head


def text(answer: Any) -> str:
    assert answer.status_code == 200, answer
    return str(answer.content.decode())


def rows_of(answer: Any) -> list[list[str]]:
    return list(csv.reader(text(answer).splitlines()))


def open_sum(staff: Browser, address: str) -> Decimal:
    """What is open on the lines an address of *What is owed* leads to."""
    head, *rows = rows_of(staff.get(f"{address}&format=csv"))
    return sum((Decimal(dict(zip(head, row, strict=True))["open"] or 0) for row in rows), Decimal(0))


def queries(staff: Browser, path: str) -> int:
    """How many a page takes once the session is warm."""
    staff.get(path)
    with CaptureQueriesContext(connection) as taken:
        text(staff.get(path))
    return len(taken)
