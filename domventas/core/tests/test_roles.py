"""Rights: one table of roles and areas, asked through Django's usual question."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.auth import authenticate
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from domventas.core import roles
from domventas.core.models import Client, Membership, User
from domventas.core.roles import Area, Role, may
from domventas.core.tenancy import acting_for
from domventas.core.tests.conftest import House

VERBS = ("view", "add", "change", "delete", "export", "import")


def test_every_role_is_granted_something_and_every_area_is_somebodys() -> None:
    assert set(roles.GRANTS) == set(Role)
    granted = {area for areas in roles.GRANTS.values() for area in areas}
    assert granted | set(roles.OPERATOR) == set(Area)
    assert all(verbs <= set(VERBS) for areas in roles.GRANTS.values() for verbs in areas.values())


@pytest.mark.parametrize(
    ("role", "verb", "model", "answer"),
    [
        (Role.OPS, "change", "orders.Order", True),
        (Role.OPS, "view", "finance.SkuCost", False),
        (Role.WAREHOUSE, "delete", "orders.Order", False),
        (Role.WAREHOUSE, "import", "inventory.StockMovement", True),
        (Role.CATALOG, "change", "catalog.Product", True),
        (Role.CATALOG, "view", "orders.BuyerContact", False),
        (Role.ADS, "view", "finance.SkuProfitDay", True),
        (Role.ADS, "export", "finance.SkuProfitDay", False),
        (Role.FINANCE, "import", "finance.SkuCost", True),
        (Role.FINANCE, "change", "orders.Order", False),
        (Role.MANAGER, "export", "finance.Settlement", True),
        (Role.MANAGER, "change", "finance.Settlement", False),
        (Role.ADMIN, "change", "core.Membership", True),
        (Role.ADMIN, "add", "marketplaces.Credential", True),
        (Role.ADMIN, "export", "marketplaces.Credential", False),
        (Role.SERVICE, "delete", "orders.Order", False),
        (Role.AUDITOR, "view", "core.AuditEntry", True),
        (Role.AUDITOR, "change", "orders.Order", False),
        (Role.AUDITOR, "view", "marketplaces.Credential", False),
    ],
)
def test_what_a_role_may(role: Role, verb: str, model: str, answer: bool) -> None:
    assert may(role, verb, model) is answer


@pytest.mark.parametrize("role", list(Role))
def test_only_an_administrator_touches_credentials_and_people_and_nobody_the_audit(role: Role) -> None:
    for verb in VERBS:
        if role is not Role.ADMIN:
            assert not may(role, verb, "marketplaces.Credential")
        if verb != "view" and role is not Role.ADMIN:
            assert not may(role, verb, "core.Membership")
        if verb not in {"view", "export"}:
            assert not may(role, verb, "core.AuditEntry")
        assert not may(role, verb, "core.Client")
        assert not may(role, verb, "core.User")
        assert not may(role, verb, "nobody.Knows")


def test_every_installed_app_of_ours_has_its_area() -> None:
    ours = {config.label for config in apps.get_app_configs() if list(config.get_models())}
    assert {label for label in ours if roles.area_of(f"{label}.anything") is None} == set()


def test_the_answer_depends_on_the_client_we_act_for(alba: House, corvo: House) -> None:
    Membership.objects.create(user=alba.user, client=corvo.client, role=Role.MANAGER)
    asked = User.objects.get(pk=alba.user.pk)
    with acting_for(alba.client):
        assert asked.has_perm("core.change_membership")
        assert asked.has_perms(["core.change_threshold", "orders.import_order"])
    with acting_for(corvo.client):
        assert not asked.has_perm("core.change_membership")
        assert asked.has_perm("finance.view_settlement")
        assert asked.has_module_perms("finance")
    with acting_for(alba.client, corvo.client):
        assert not asked.has_perm("finance.view_settlement")
    assert not asked.has_perm("finance.view_settlement")


def test_a_stranger_and_a_locked_person_may_nothing(alba: House) -> None:
    stranger = User.objects.create_user("new@example.com", "pw")
    alba.user.is_active = False
    with acting_for(alba.client):
        for person in (stranger, alba.user, AnonymousUser()):
            assert not person.has_perm("orders.view_order")
            assert not person.has_module_perms("orders")
    assert not stranger.is_staff
    assert not alba.user.is_staff


def test_an_operator_runs_the_platform_and_sees_no_business(alba: House) -> None:
    operator = User.objects.create_superuser("op@example.com", "pw")
    assert operator.is_staff
    assert not operator.is_superuser
    assert operator.has_perm("core.add_client")
    assert operator.has_perm("django_celery_beat.change_periodictask")
    with acting_for(alba.client):
        assert not operator.has_perm("orders.view_order")
        assert not operator.has_perm("core.view_auditentry")


def test_sign_in_does_not_mind_capitals(db: None) -> None:
    person = User.objects.create_user(" Ines@Example.COM ", "pw")
    assert person.email == "ines@example.com"
    assert authenticate(HttpRequest(), username="INES@example.com", password="pw") == person
    assert authenticate(HttpRequest(), username="ines@example.com", password="no") is None


def test_a_person_without_a_password_cannot_sign_in(db: None) -> None:
    User.objects.create_user("ines@example.com")
    assert authenticate(HttpRequest(), username="ines@example.com", password="") is None


def test_a_client_is_shown_by_its_name(db: None) -> None:
    assert str(Client.objects.create(slug="x", name="Dom Ventas")) == "Dom Ventas"
