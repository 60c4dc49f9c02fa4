"""The admin's lists as a browser sees them: no errors, nothing from elsewhere, nothing that keeps people out."""

from __future__ import annotations

import pytest
from django.urls import reverse

from domventas.core.models import Membership
from domventas.core.roles import Role, may
from domventas.tests.browser.conftest import House, Watched
from domventas.tests.walk import admins, label

pytestmark = [pytest.mark.screens, pytest.mark.django_db(transaction=True)]
LISTS = sorted({model._meta.app_label for model in admins()})


@pytest.mark.parametrize("app", LISTS)
def test_every_list_of_the_admin_opens_without_errors_strangers_or_barriers(
    app: str, eyes: Watched, house: House
) -> None:
    wrong: dict[str, list[str]] = {}
    for model in admins():
        if model._meta.app_label != app:
            continue
        role = next(role for role in (Role.ADMIN, *Role) if may(role, "view", label(model)))
        Membership.objects.filter(client=house.client).update(role=role)
        eyes.open(f"/c/dom-ventas{reverse(f'admin:{app}_{model._meta.model_name}_changelist')}")
        found = [*eyes.barriers(), *eyes.complaints]
        if eyes.page.locator("#changelist").count() != 1:
            found.append(f"no list for {role}")
        eyes.complaints.clear()
        if found:
            wrong[label(model)] = found
    assert not wrong
