"""The API keeps to its own description, whatever it is asked: thousands of requests nobody would think of."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import schemathesis
from django.core.management import call_command
from django.test import Client as Browser
from django.utils.timezone import now as clock
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from catalog.models import UnmappedItem
from domventas.core import tenancy
from domventas.core.api import pace, scopes, tokens
from domventas.core.models import Client
from domventas.tests.filler import make
from domventas.wsgi import django as application
from tickets.models import Ticket


def test_the_description_is_complete_and_open_to_all(db: None, tmp_path: Any) -> None:
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "api.yml"))
    reply = Browser().get("/api/v1/schema", headers={"Accept": "application/vnd.oai.openapi+json"})
    assert reply.status_code == 200 and len(reply.json()["paths"]) >= 20
    for methods in reply.json()["paths"].values():
        for operation in methods.values():
            assert operation["security"] == [{"token": []}] and {"401", "404", "429"} <= operation["responses"].keys()
    page = Browser().get("/api/v1/docs")
    assert page.status_code == 200 and "//cdn." not in page.content.decode()


def fuzz(examples: int, monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Ask every operation so many times, as its description allows and as it forbids; returns requests by status."""
    monkeypatch.setattr(pace.take, "__kwdefaults__", {"per_minute": 10_000_000, "burst": 1_000_000})
    monkeypatch.setattr(pace, "WRONG_PER_MINUTE", 10_000_000)
    monkeypatch.setattr(pace, "WRONG_BURST", 1_000_000)
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    with tenancy.acting_for(client, actor="test"):
        for number in range(1, 4):
            make(Ticket, number=number, state="open", type="payment_discrepancy", severity="S2")
        for _number in range(3):
            make(UnmappedItem, state="open")
    _token, text = tokens.issue(client, name="fuzz", scopes=list(scopes.SCOPES), by="test", now=clock())
    described = schemathesis.openapi.from_wsgi("/api/v1/schema", application)
    found: Counter[int] = Counter()

    def ask(case: Case) -> None:
        skipped = [ignored_auth]  # our own token is sent in place of what it makes up
        if (case.query or {}).pop("cursor", None) is not None:
            skipped.append(negative_data_rejection)  # only a cursor we gave out is right, which no description can say
        if any(value in ([], {}, None) for value in (case.query or {}).values()):
            skipped.append(negative_data_rejection)  # the wrong parameter it made up is not sent at all
        reply = case.call(headers={"Authorization": f"Bearer {text}"})
        found[reply.status_code] += 1
        if reply.status_code == 422:
            skipped.append(positive_data_acceptance)  # well-formed, and against the rules of the house
        case.validate_response(reply, excluded_checks=skipped)

    for result in described.get_all_operations():
        cases = result.ok().as_strategy(generation_mode=GenerationMode.POSITIVE)
        wrong = result.ok().as_strategy(generation_mode=GenerationMode.NEGATIVE)
        for strategy in (cases, wrong):
            quick = settings(
                max_examples=examples,
                deadline=None,
                database=None,
                derandomize=examples < 10,
                suppress_health_check=list(HealthCheck),
            )
            quick(given(case=strategy)(ask))()
    return found


@pytest.mark.django_db(transaction=True)
def test_no_request_breaks_the_server_or_the_description(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fuzz(4, monkeypatch)
    assert sum(found.values()) > 120 and found[200] > 20 and max(found) < 500, found


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_no_request_of_thousands_breaks_the_server_or_the_description(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fuzz(150, monkeypatch)
    print(f"requests by status: {dict(found)}")  # noqa: T201  # the figure people ask for
    assert sum(found.values()) > 5000 and max(found) < 500, found
