"""A year's customer in minutes: accounts, product master, the back-fill, and then one week lived day by day."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import requests
from django.core.management import call_command
from django.core.management.base import CommandError

from catalog.services.products import ProductRow, load_products
from domventas.core import tenancy
from domventas.core.models import Client
from finance.models.rates import Purpose
from finance.services.costs import CostRow, load_costs
from finance.services.rates import RateRow, load_reference_rates
from finance.services.settlement_files import import_file
from marketplaces.models import Account, RawDocument
from marketplaces.services.accounts import create_account

WEEK = 7
SATURDAY = 5
SECONDS = 120

ACCOUNTS: tuple[dict[str, Any], ...] = (
    {
        "channel": "amazon", "code": "amazon-eu", "name": "Amazon EU", "external_id": "A2DOMVENTASEU",
        "sites": ("amazon.de", "amazon.fr"),
        "secrets": {
            "client_id": "sandbox-client", "client_secret": "sandbox-secret", "refresh_token": "Atzr|sandbox-eu",
        },
    },
    {
        "channel": "amazon", "code": "amazon-us", "name": "Amazon US", "external_id": "A1DOMVENTASUS",
        "sites": ("amazon.com",),
        "secrets": {
            "client_id": "sandbox-client", "client_secret": "sandbox-secret", "refresh_token": "Atzr|sandbox-us",
        },
    },
    {
        "channel": "bunnings", "code": "bunnings-au", "name": "Bunnings AU", "external_id": "2042",
        "sites": ("bunnings.com.au",),
        "secrets": {"api_key": "sandbox-bunnings-key", "shop_id": "2042"},
    },
    {
        "channel": "otto", "code": "otto-de", "name": "Otto DE", "external_id": "1000871", "sites": ("otto.de",),
        "secrets": {"client_id": "sandbox-otto-app", "client_secret": "sandbox-otto-secret"},
    },
)  # fmt: skip

#: Accounts whose statements somebody has to fetch and drop.
BY_FILE = ("otto-de",)

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """The running sandbox, as the demo steers it."""

    url: str

    def world(self) -> dict[str, Any]:
        """Summary and product master of the world."""
        answer = requests.get(f"{self.url}/__sandbox/world", timeout=SECONDS)
        answer.raise_for_status()
        world: dict[str, Any] = answer.json(parse_float=Decimal)
        return world

    def statements(self, account: str) -> list[str]:
        """Names of the statement files of an account that are out by the sandbox's clock."""
        answer = requests.get(f"{self.url}/__sandbox/statements/{account}", timeout=SECONDS)
        answer.raise_for_status()
        return [str(name) for name in answer.json()]

    def statement(self, account: str, name: str) -> bytes:
        """One statement file."""
        answer = requests.get(f"{self.url}/__sandbox/statements/{account}/{name}", timeout=SECONDS)
        answer.raise_for_status()
        return answer.content

    def set_clock(self, now: datetime, *, running: bool = False) -> None:
        """Reveal everything up to a moment, and nothing after it; with `running` the clock goes on from there."""
        body = {"now": now.isoformat(), "running": running}
        answer = requests.post(f"{self.url}/__sandbox/clock", json=body, timeout=SECONDS)
        answer.raise_for_status()


def furnish(client: Client, sandbox: Sandbox, *, now: datetime) -> None:
    """Product master, costs, rates and accounts, as a client would have entered them before the first sync."""
    items = sandbox.world()["products"]
    load_reference_rates(demo_rates(until=now.date()))
    with tenancy.acting_for(client, actor="demo"):
        load_products([_product(item) for item in items], now=now)
        load_costs(_costs(items, since=date(now.year - 1, 1, 1)))
        have = set(Account.objects.values_list("code", flat=True))
        for account in ACCOUNTS:
            if account["code"] not in have:
                create_account(**account, environment=Account.Environment.SANDBOX, now=now)


def live_through(client: Client, sandbox: Sandbox, *, now: datetime, tell: Tell) -> None:
    """Back-fill up to a week ago, take the starting position there, then live the week day by day."""
    for days in range(WEEK, -1, -1):
        moment = now - timedelta(days=days)
        sandbox.set_clock(moment)
        what = "back-fill" if days == WEEK else f"{moment:%a %d %b}"
        synced = read(client, now=moment)
        drop_statements(client, sandbox, now=moment)
        paid = run("reconcile", client=client.slug, now=moment)
        found = run("detect", client=client.slug, now=moment)
        records = sum(row["records"] for row in synced["runs"])
        opened = sum(row["opened"] for row in found["types"].values())
        tell(
            f"{what}: {records:,} records, {paid['lines']:,} settlement lines, "
            f"{paid['discrepancies']:,} discrepancies, "
            f"{opened} tickets opened"
        )


def drop_statements(client: Client, sandbox: Sandbox, *, now: datetime) -> None:
    """Book the statement files that have come out since, as a clerk would who gets them by hand."""
    with tenancy.acting_for(client, actor="demo"):
        for account in Account.objects.filter(code__in=BY_FILE):
            dropped = RawDocument.objects.filter(account_id=account.pk, flow="settlements")
            have = set(dropped.values_list("name", flat=True))
            for name in sandbox.statements(account.code):
                if name not in have:
                    import_file(account, sandbox.statement(account.code, name), name=name, now=now)


def catch_up(client: Client, sandbox: Sandbox, *, now: datetime) -> None:
    """Read, reconcile and look once at this moment, so that nothing on the desk is old when it opens."""
    read(client, now=now)
    drop_statements(client, sandbox, now=now)
    for command in ("reconcile", "detect"):
        run(command, client=client.slug, now=now)


def read(client: Client, *, now: datetime) -> dict[str, Any]:
    """Read every flow. A report asked for before the sandbox was stopped is none it knows: the second try asks anew."""
    try:
        return run("sync", client=client.slug, now=now)
    except CommandError:
        return run("sync", client=client.slug, now=now)


def run(command: str, **options: Any) -> dict[str, Any]:
    """Call one of our own commands as a script would, and read the JSON it prints last.

    Raises: CommandError: it ended otherwise; with the last of what it said.
    """
    out, err = io.StringIO(), io.StringIO()
    if isinstance(options.get("now"), datetime):
        options["now"] = options["now"].isoformat()
    try:
        call_command(command, json=True, stdout=out, stderr=err, **options)
    except SystemExit as ended:
        if ended.code != 1:
            raise  # somebody ends the demo
        raise CommandError(f"{command} ended with {ended.code}:\n{err.getvalue()[-1000:]}") from ended
    answer: dict[str, Any] = json.loads(out.getvalue().strip().splitlines()[-1])
    return answer


def demo_rates(*, until: date, days: int = 420) -> list[RateRow]:
    """Invented rates per EUR for working days, so that the demo can convert; their source says so."""
    start = {"USD": Decimal("1.0850"), "AUD": Decimal("1.6600"), "TRY": Decimal("38.4000")}
    step = {"USD": Decimal("0.0001"), "AUD": Decimal("-0.0001"), "TRY": Decimal("0.0150")}
    rows = []
    for ago in range(days, -1, -1):
        day = until - timedelta(days=ago)
        if day.weekday() < SATURDAY:
            rows += [
                RateRow(
                    currency, day, rate + step[currency] * (days - ago), Purpose.DAILY, "demo, not a published rate"
                )
                for currency, rate in start.items()
            ]
    return rows


def _product(item: Mapping[str, Any]) -> ProductRow:
    return ProductRow(
        sku=item["sku"],
        brand=item["brand"],
        title=item["title"],
        site_categories=item["categories"],
        weight_g=item["weight_g"],
        eans=(item["ean"],),
        asins=(item["asin"],),
    )


def _costs(items: list[Mapping[str, Any]], *, since: date) -> list[CostRow]:
    return [
        CostRow(
            row=row,
            sku=item["sku"],
            currency=item["cost_currency"],
            valid_from=since,
            purchase=Decimal(str(item["cost"])),
            source="demo price list",
        )
        for row, item in enumerate(items, 1)
        if item.get("cost") is not None
    ]
