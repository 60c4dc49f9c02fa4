"""The platform operator makes clients and people, sees no password, and no client's rows."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client as Browser
from django.urls import reverse

from domventas.core.models import Client, ClientModel, Membership, User
from domventas.core.roles import Role

PEOPLE, CLIENTS = "/admin/core/user/", "/admin/core/client/"
SECRET = "heron-lantern-42"


@pytest.fixture
def operator(db: None) -> Browser:
    """Signed in, a member of nothing."""
    browser = Browser()
    browser.force_login(User.objects.create_user("op@example.com", "another long one", is_operator=True))
    return browser


def person(**values: Any) -> dict[str, Any]:
    return {"email": "Ines@Example.com", "name": "Ines", "is_active": "on", "new_password": SECRET, **values}


def test_a_person_made_by_the_operator_can_sign_in_and_the_password_is_kept_as_its_hash(
    operator: Browser, client_dv: Client
) -> None:
    assert operator.post(f"{PEOPLE}add/", person()).status_code == 302
    made = User.objects.get(email="ines@example.com")
    assert SECRET not in made.password and made.check_password(SECRET)
    given = {"username": "Ines@example.com", "password": SECRET}
    assert Browser().post("/admin/login/?next=/", given).status_code == 200, "no membership, so no admin"
    Membership.objects.create(user=made, client=client_dv, role=Role.OPS)
    assert Browser().post("/admin/login/?next=/", given).status_code == 302
    page = operator.get(f"{PEOPLE}{made.pk}/change/").content.decode()
    assert made.password not in page and SECRET not in page and "new_password" in page


def test_a_password_is_set_anew_and_left_alone_where_none_is_given(operator: Browser) -> None:
    made = User.objects.create_user("ines@example.com", "one two three four")
    at = f"{PEOPLE}{made.pk}/change/"
    assert operator.post(at, person(new_password="")).status_code == 302
    made.refresh_from_db()
    assert made.name == "Ines" and made.check_password("one two three four")
    assert operator.post(at, person()).status_code == 302
    made.refresh_from_db()
    assert made.check_password(SECRET)


@pytest.mark.parametrize("weak", ["short", "abc123456789", "ines@example.com"])
def test_a_weak_password_is_refused_at_its_field(weak: str, operator: Browser) -> None:
    answer = operator.post(f"{PEOPLE}add/", person(new_password=weak))
    assert answer.status_code == 200 and "new_password" in answer.context["adminform"].form.errors
    assert not User.objects.filter(email="ines@example.com").exists()


def test_without_a_password_a_new_person_stays_outside(operator: Browser) -> None:
    operator.post(f"{PEOPLE}add/", person(new_password=""))
    assert not User.objects.get(email="ines@example.com").has_usable_password()


def test_a_password_cannot_be_guessed_by_filters(operator: Browser) -> None:
    assert operator.get(f"{PEOPLE}?password__startswith=md5").status_code in {302, 400}


def test_a_zone_that_does_not_exist_is_refused_before_every_page_of_the_client_breaks(operator: Browser) -> None:
    house = {"slug": "luz", "name": "Luz", "base_currency": "EUR", "active": "on"}
    answer = operator.post(f"{CLIENTS}add/", house | {"zone": "Nowhere/Nowhere"})
    assert answer.status_code == 200 and "zone" in answer.context["adminform"].form.errors
    assert operator.post(f"{CLIENTS}add/", house | {"zone": "Asia/Tokyo"}).status_code == 302
    assert Client.objects.get(slug="luz").zone == "Asia/Tokyo"


def test_neither_a_client_nor_a_person_is_deleted(operator: Browser, client_dv: Client) -> None:
    assert operator.get(f"{CLIENTS}{client_dv.pk}/delete/").status_code == 403
    assert operator.get(f"{PEOPLE}{User.objects.get().pk}/delete/").status_code == 403


def test_outside_every_client_no_page_of_a_clients_rows_breaks(operator: Browser) -> None:
    for model in admin.site._registry:
        if issubclass(model, ClientModel):
            at = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            for tail in ("", "1/change/", "1/delete/", "1/history/"):
                assert operator.get(at + tail).status_code in {302, 403, 404}, at + tail
