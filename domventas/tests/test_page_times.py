"""One screen, one clock: every time on a page is the client's, and the page says whose."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from domventas.core.models import Client
from domventas.core.roles import Role
from domventas.core.templatetags.figures import local_times
from domventas.core.tenancy import acting_for
from domventas.core.times import zone
from domventas.tests.filler import make
from domventas.tests.walk import pages, signed_in
from finance.models import Settlement, SettlementLine
from marketplaces.models import Account, OutboxCommand, PushFlow, RawDocument, Stream, SyncWindow
from orders.models import Order, OrderEvent, OrderLine
from tickets.models import Finding, Ticket, TicketEvent

#: Half past nine in the evening in London is the next morning in Tokyo, which knows no summer time.
THEN = datetime(2026, 3, 9, 21, 30, tzinfo=UTC)
THERE, HERE = "21:30", "06:30"
#: Pages that show no row of ours, or only ask.
BARE = {"marketplaces:raw_file"}


@pytest.fixture
def tokyo(client_dv: Client) -> Client:
    """The client in Tokyo, with something that has a time on every page."""
    client_dv.zone = "Asia/Tokyo"
    client_dv.save()
    with acting_for(client_dv, actor="test"):
        account = make(Account, channel="amazon", status="active")
        stream = make(Stream, account=account, flow="orders", complete_until=THEN, last_error_at=THEN,
                      last_error="It does not answer; we ask again at 21:30:00 UTC.")  # fmt: skip
        make(SyncWindow, stream=stream, started_at=THEN, window=(THEN, THEN + timedelta(minutes=30)))
        make(RawDocument, account_id=account.pk, flow="orders", name="", fetched_at=THEN, last_fetched_at=THEN,
             body=b"x\x9c\x03\x00\x00\x00\x00\x01")  # fmt: skip
        order = make(Order, account=account, ordered_at=THEN, ship_by=THEN, source_updated_at=THEN)
        make(OrderLine, order=order)
        make(OrderEvent, order=order, at=THEN)
        make(PushFlow, account=account, verb="shipments", changed_at=THEN, changed_by="me")
        make(OutboxCommand, account=account, verb="shipments", payload={"ref": "1"}, state="accepted", settled_at=THEN)
        ticket = make(Ticket, account=account, number=1, changed_at=THEN)
        make(Finding, ticket=ticket, account=account)
        make(TicketEvent, ticket=ticket, at=THEN)
        statement = make(Settlement, account=account, period_end=THEN)
        make(SettlementLine, settlement=statement, account_id=account.pk, posted_at=THEN)
    return client_dv


def rows_of(client: Client) -> dict[str, int]:
    """The number that stands for `pk` in the address of a page."""
    with acting_for(client):
        account, stream = Account.objects.get().pk, Stream.objects.get().pk
        order, settlement = Order.objects.get().pk, Settlement.objects.get().pk
        return {
            "marketplaces:connect_account": account, "marketplaces:subscribe": account, "marketplaces:steer": stream,
            "marketplaces:replay": stream, "marketplaces:raw": RawDocument.objects.get().pk,
            "orders:order": order, "orders:ship": order, "orders:buyer": order, "finance:settlement": settlement,
        }  # fmt: skip


def test_every_page_tells_the_clients_time_and_names_its_zone_once(tokyo: Client) -> None:
    staff, rows, told = signed_in(tokyo, Role.ADMIN), rows_of(tokyo), 0
    for name, url in pages():
        values = {key: rows.get(name, 1) for key in url.pattern.converters}
        address = f"/c/{tokyo.slug}{reverse(name, kwargs=values)}"
        for tail in ("", f"?stream={rows['marketplaces:steer']}") if name == "marketplaces:monitor" else ("",):
            answer = staff.get(address + tail)
            if name in BARE or answer.status_code != 200 or "text/html" not in answer["Content-Type"]:
                continue
            text = re.sub(r"<[^>]+>", " ", answer.content.decode())
            assert text.count("Times in Asia/Tokyo") == 1, name
            assert "UTC" not in text and THERE not in text, name
            told += HERE in text
    assert told >= 6, "monitor with its stream, writing back, raw document, order, ticket, settlement"


def test_the_admin_names_the_zone_too(tokyo: Client) -> None:
    listed = f"/c/{tokyo.slug}{reverse('admin:marketplaces_syncwindow_changelist')}"
    page = signed_in(tokyo, Role.ADMIN).get(listed).content.decode()
    assert page.count("Times in Asia/Tokyo") == 1
    assert "10 Mar 2026, 06:30 – 07:00" in page and "+00:00" not in page


def test_a_kept_message_is_read_in_the_readers_zone() -> None:
    with timezone.override(zone("Europe/Berlin")):
        assert local_times("again at 06:10:00 UTC, not 06:10", datetime(2026, 7, 1, tzinfo=UTC)) == (
            "again at 08:10:00, not 06:10"
        )
        assert local_times("again at 23:10 UTC", datetime(2026, 11, 1, tzinfo=UTC)) == "again at 00:10"
        assert local_times("99:10 UTC") == "99:10 UTC"
