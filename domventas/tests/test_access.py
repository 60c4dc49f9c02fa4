"""Every role on every page: what it may, opens; what it may not, is refused."""

from __future__ import annotations

import pytest
from django.db import models
from django.test import Client as Browser
from django.urls import URLPattern, reverse

from domventas.core import tenancy
from domventas.core.models import Client, ClientModel
from domventas.core.roles import GRANTS, Area, Role, may
from domventas.tests.filler import make
from domventas.tests.walk import admins, label, pages, signed_in

pytestmark = pytest.mark.access

#: Whose rows the pages of an app show; the start page shows everybody what of it is theirs.
SHOWN = {"finance": Area.FINANCE, "orders": Area.ORDERS, "tickets": Area.ORDERS, "marketplaces": Area.SYNC}


def home(model: type[models.Model], client: Client) -> str:
    """The model's list in the admin."""
    return f"/c/{client.slug}{reverse(f'admin:{model._meta.app_label}_{model._meta.model_name}_changelist')}"


@pytest.mark.parametrize("role", list(Role), ids=str)
@pytest.mark.parametrize("model", admins(), ids=label)
def test_the_admin_opens_what_the_role_may_see(model: type[ClientModel], role: Role, client_dv: Client) -> None:
    browser = signed_in(client_dv, role)
    with tenancy.acting_for(client_dv):
        row = make(model)
    base, sees = home(model, client_dv), may(role, "view", label(model))
    assert browser.get(base).status_code == (200 if sees else 403)
    # some lists open no page of their own for a row: then they send back to the list
    assert browser.get(f"{base}{row.pk}/change/").status_code in ({200, 302} if sees else {403})


@pytest.mark.parametrize("role", list(Role), ids=str)
@pytest.mark.parametrize("model", admins(), ids=label)
def test_the_admin_adds_and_deletes_no_more_than_the_role_may(
    model: type[ClientModel], role: Role, client_dv: Client
) -> None:
    browser = signed_in(client_dv, role)
    with tenancy.acting_for(client_dv):
        row = make(model)
    base = home(model, client_dv)
    for page, action in ((f"{base}add/", "add"), (f"{base}{row.pk}/delete/", "delete")):
        if browser.get(page).status_code == 200:
            assert may(role, action, label(model)), f"{role} may {action} {label(model)} without the right"


@pytest.mark.parametrize("role", list(Role), ids=str)
@pytest.mark.parametrize(("name", "url"), pages(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_page_opens_for_those_who_may_see_its_rows(name: str, url: URLPattern, role: Role, client_dv: Client) -> None:
    arguments = dict.fromkeys(url.pattern.converters, 999_999_999)
    answer = signed_in(client_dv, role).get(f"/c/{client_dv.slug}{reverse(name, kwargs=arguments)}")
    area = SHOWN.get(name.partition(":")[0])
    verbs = GRANTS[role].get(area, frozenset()) if area else {"view", "export"}
    if "view" not in verbs:
        assert answer.status_code in {403, 405}
    elif "export" in verbs:
        assert answer.status_code in {200, 302, 404, 405}
    else:
        assert answer.status_code in {200, 302, 403, 404, 405}


def test_nobody_gets_in_without_a_membership(client_dv: Client, client2: Client) -> None:
    browser = signed_in(client_dv, Role.ADMIN)
    assert browser.get(f"/c/{client2.slug}/").status_code == 404
    assert Browser().get(f"/c/{client_dv.slug}/").status_code == 302
