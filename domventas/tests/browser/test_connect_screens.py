"""The steps of connecting an account as a browser sees them: light, dark, on a phone, without barriers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.utils.timezone import now as clock

from domventas.core import tenancy
from domventas.tests.browser.conftest import House, Watched
from marketplaces.models import Account, Stream
from marketplaces.services import onboarding
from marketplaces.services.accounts import create_account

pytestmark = [pytest.mark.screens, pytest.mark.django_db(transaction=True)]

NARROW = {"width": 390, "height": 844}
WIDE = {"width": 1440, "height": 1000}
SECRETS = {"client_id": "c" * 12, "client_secret": "s" * 12}
ANSWERS = "channel=otto&name=Otto&external_id=42&environment=sandbox&sites=otto.de"


@pytest.fixture
def steps(house: House) -> list[str]:
    """The address of each step; an untested, a tested and a started account are there."""
    with tenancy.acting_for(house.client, actor="test"):
        untested, tested = (
            onboarding.begin(
                channel="otto", name=f"Otto {name}", external_id=name, sites=["otto.de"], environment="sandbox",
                secrets=SECRETS, now=clock(), is_tested=name == "tested",
            )
            for name in ("untested", "tested")
        )  # fmt: skip
        started = create_account(
            channel="otto", code="otto-started", name="Otto started", external_id="started", sites=["otto.de"],
            secrets=SECRETS, now=clock(),
        )  # fmt: skip
        stream = Stream.objects.get(account=started, flow="orders")
        stream.last_error, stream.failures = "Otto does not answer; we ask again at 10:42.", 2
        stream.save(update_fields=["last_error", "failures"])
        amazon = Account.objects.get(code="amazon-eu")
    connect = "/c/dom-ventas/system/connect/"
    return [
        connect, f"{connect}?channel=amazon", f"{connect}?{ANSWERS}",
        *(f"{connect}{account.pk}/" for account in (untested, tested, started, amazon)),
        f"/c/dom-ventas/system/monitor/{stream.pk}/replay/",
    ]  # fmt: skip


def looks(eyes: Watched) -> Iterator[str]:
    """Each look by its name, for pages opened then."""
    for name, scheme, size in (("light", "light", WIDE), ("dark", "dark", WIDE), ("phone", "light", NARROW)):
        eyes.page.emulate_media(color_scheme=scheme)
        eyes.page.set_viewport_size(size)
        yield name


def test_each_step_holds_in_every_look(eyes: Watched, steps: list[str]) -> None:
    for path in steps:
        for look in looks(eyes):
            eyes.open(path)
            assert eyes.page.locator("h1").count() == 1
            assert not eyes.sways(), f"{path} {look}"
            assert eyes.barriers() == [], f"{path} {look}"
    assert eyes.complaints == []


def test_the_monitor_renews_itself_but_not_under_somebodys_hands(eyes: Watched, house: House) -> None:
    eyes.page.clock.install()
    eyes.open(f"/c/dom-ventas{house.paths['stream']}")
    cells = eyes.page.locator("a.cell.paused")
    assert cells.count() == 1
    with tenancy.acting_for(house.client, actor="test"):
        Stream.objects.filter(flow="settlements").update(is_paused=True)
    eyes.page.locator("#monitor-grid a.cell").first.focus()
    eyes.page.clock.run_for(31_000)
    assert cells.count() == 1, "the focus would be lost"
    eyes.page.locator("#stream input[name=since]").fill("2026-11-01")
    eyes.page.clock.run_for(31_000)
    eyes.page.locator("a.cell.paused").nth(1).wait_for()
    assert cells.count() == 2
    assert eyes.page.locator("#monitor-rest").count() == 1, "the lower half is replaced, not added"
    assert eyes.page.input_value("#stream input[name=since]") == "2026-11-01", "what is being entered stays"
    assert eyes.complaints == []
