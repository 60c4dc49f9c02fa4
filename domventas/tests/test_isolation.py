"""Clients cannot see each other: not through a query, a reference, an admin page or a report page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db import IntegrityError, connection, models, transaction
from django.test import Client as Browser
from django.urls import URLPattern, reverse

from domventas.core import tenancy
from domventas.core.fields import ClientForeignKey
from domventas.core.models import Client, ClientModel
from domventas.core.roles import Role, may
from domventas.tests.filler import client_models, make
from domventas.tests.walk import READ_ONLY, admins, label, links_within_links, pages, signed_in, writable

pytestmark = pytest.mark.db
WITHIN_ANOTHER_FORM = {"marketplaces.AccountSite", "marketplaces.Credential", "marketplaces.InletRefusal"}
"""Entered with the account; counted in the inlet's form."""
OWN_BOOKKEEPING = {
    "core.ApiReply", "core.Dispatch", "finance.DeviationSum", "finance.ReconcileMark",
    "marketplaces.InletRefusal", "marketplaces.StreamDay",
}  # fmt: skip
"""Where the machine stands; people look at the monitor."""


@pytest.fixture
def stranger(client2: Client) -> Client:
    """The client whose rows must stay out of sight."""
    return client2


@pytest.mark.parametrize("model", writable(), ids=label)
def test_the_wall_alone_shows_no_foreign_row(model: type[ClientModel], client_dv: Client, stranger: Client) -> None:
    """The scoped manager is left out: a plain query set stands on the wall alone."""
    with tenancy.acting_for(stranger):
        row = make(model)
    plain = models.QuerySet(model)
    with tenancy.acting_for(client_dv):
        assert plain.count() == 0
        if "UPDATE" in model.app_may:
            assert not plain.filter(pk=row.pk).update(**{_some_field(model): getattr(row, _some_field(model))})
    with tenancy.acting_for(stranger):
        assert plain.filter(pk=row.pk).count() == 1


def _some_field(model: type[ClientModel]) -> str:
    return next(f.attname for f in model._meta.concrete_fields if not f.primary_key and f.name != "client")


def test_every_table_and_partition_has_its_wall(client_dv: Client) -> None:
    tables = {model._meta.db_table for model in client_models()}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, p.relname, c.relrowsecurity, c.relforcerowsecurity, "
            "has_table_privilege('app', c.oid, 'SELECT') "
            "FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent "
            "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
        )
        rows = cursor.fetchall()
    seen = set()
    for name, parent, enabled, forced, granted in rows:
        if name in tables or parent in tables:
            assert enabled and forced, f"{name} has no wall"
            seen.add(name)
        if parent in tables:
            assert not granted, f"{name} can be read past its parent"
    assert tables <= seen


def crossings() -> Iterator[Any]:
    for model in writable():
        for field in model._meta.local_fields:
            if isinstance(field, ClientForeignKey) and field.db_wall:
                yield pytest.param(model, field.name, id=f"{model._meta.label}.{field.name}")


@pytest.mark.parametrize(("model", "name"), list(crossings()))
def test_a_reference_cannot_cross_clients(
    model: type[ClientModel], name: str, client_dv: Client, stranger: Client
) -> None:
    target: Any = model._meta.get_field(name).related_model
    with tenancy.acting_for(stranger):
        foreign = make(target)
    with tenancy.acting_for(client_dv), pytest.raises(IntegrityError), transaction.atomic():
        make(model, **{model._meta.get_field(name).attname: foreign.pk, name: foreign})
        connection.check_constraints()


# ── faces ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def role_that_sees(model: type[models.Model]) -> Role:
    """The administrator, or whoever else may see what the administrator may not."""
    return next(role for role in (Role.ADMIN, *Role) if may(role, "view", label(model)))


def test_every_client_table_has_an_admin() -> None:
    without = {label(m) for m in client_models()} - {label(m) for m in admin.site._registry}
    assert without <= WITHIN_ANOTHER_FORM | OWN_BOOKKEEPING | READ_ONLY, f"no admin for {without}"


@pytest.mark.parametrize("model", admins(), ids=label)
def test_the_admin_shows_nothing_of_another_client(
    model: type[ClientModel], client_dv: Client, stranger: Client
) -> None:
    browser = signed_in(client_dv, role_that_sees(model))
    with tenancy.acting_for(stranger):
        foreign = make(model)
    with tenancy.acting_for(client_dv):
        own = make(model)
    base = f"/c/{client_dv.slug}{reverse(f'admin:{model._meta.app_label}_{model._meta.model_name}_changelist')}"
    listed = browser.get(base)
    assert listed.status_code == 200
    text = listed.content.decode()  # by whole addresses: rows of other tables have the same numbers
    assert f'"{base}{own.pk}/' in text or not _links(model), "the own row is missing: the test proves nothing"
    assert f"{base}{foreign.pk}/" not in text
    assert not links_within_links(text)
    for page in ("change", "delete", "history"):
        answer = browser.get(f"{base}{foreign.pk}/{page}/")
        assert answer.status_code in {302, 403, 404, 405}, f"{page} of a foreign row: {answer.status_code}"
    assert browser.get(base.replace(client_dv.slug, stranger.slug)).status_code == 404
    anonymous = Browser().get(base)
    assert anonymous.status_code == 302 and "/login/" in anonymous["Location"]


def _links(model: type[models.Model]) -> bool:
    return admin.site._registry[model].list_display_links is not None


@pytest.mark.parametrize(("name", "url"), pages(), ids=lambda value: value if isinstance(value, str) else "")
def test_pages_need_a_login_and_show_own_rows_only(
    name: str, url: URLPattern, client_dv: Client, stranger: Client
) -> None:
    browser = signed_in(client_dv, Role.ADMIN)
    arguments = dict.fromkeys(url.pattern.converters, 999999999)
    path = f"/c/{client_dv.slug}{reverse(name, kwargs=arguments)}"
    answer = browser.get(path)
    assert answer.status_code in ({404, 405} if arguments else {200, 302, 405}), f"{path}: {answer.status_code}"
    assert browser.get(path.replace(client_dv.slug, stranger.slug)).status_code == 404
    anonymous = Browser().get(path)
    assert anonymous.status_code == 302 and "/login/" in anonymous["Location"]
