"""Two clients that must never see each other, for the kernel's tests."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from domventas.core.models import Client, Membership, Threshold, User
from domventas.core.roles import Role
from domventas.core.tenancy import acting_for


@dataclass(frozen=True)
class House:
    """One client with an administrator and one limit."""

    client: Client
    user: User
    limit: Threshold


def build(slug: str) -> House:
    """A client, a person who runs it, and one row behind its wall."""
    client = Client.objects.create(slug=slug, name=slug.title())
    user = User.objects.create_user(f"{slug}@example.com", "pw")
    Membership.objects.create(user=user, client=client, role=Role.ADMIN)
    with acting_for(client, actor="test"):
        limit = Threshold.objects.create(code=f"{slug}-margin", value=1)
    return House(client, user, limit)


@pytest.fixture
def alba(db: None) -> House:
    """The client we act for."""
    return build("alba")


@pytest.fixture
def corvo(db: None) -> House:
    """The client whose rows nobody else may see."""
    return build("corvo")
