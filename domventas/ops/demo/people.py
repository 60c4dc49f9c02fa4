"""The demo's client, its people, and their rights."""

from __future__ import annotations

from domventas.core.models import Client, Membership, User

PASSWORD = "demo-desk-2026"  # noqa: S105 (printed by the demo; refused on servers that are not the checkout's own)
PEOPLE = {
    "demo": "admin", "ops": "ops", "warehouse": "warehouse", "catalog": "catalog", "finance": "finance",
    "manager": "manager",
}  # fmt: skip
DOMAIN = "domventas.example"


def make_client() -> Client:
    """The client Dom Ventas and one person per role; running it again changes nothing."""
    client, _ = Client.objects.get_or_create(
        slug="dom-ventas", defaults={"name": "Dom Ventas", "base_currency": "EUR", "zone": "Europe/Berlin"}
    )
    for name, role in PEOPLE.items():
        email = f"{name}@{DOMAIN}"
        user = User.objects.filter(email=email).first() or User.objects.create_user(
            email, PASSWORD, is_operator=name == "demo"
        )
        Membership.objects.get_or_create(user=user, client=client, defaults={"role": role})
    return client
