"""Who works for a client in which role; changed by its administrators, never by oneself."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.utils.translation import gettext as _

from domventas.core import tenancy
from domventas.core.errors import Conflict, Refused
from domventas.core.models import Client, Membership, User


def find(email: str) -> User:
    """The person of an e-mail address. Raises: Refused: nobody, or somebody whose account is closed."""
    found = User.objects.filter(email=email.strip().lower(), is_active=True).first()
    if found is None:
        raise Refused(_("Nobody signs in with this address. The platform's operator adds people."))
    return found


def grant(person: User, *, role: str, brands: Iterable[int] = (), by: User) -> Membership:
    """Let a person work for the acting client. Raises: Refused: for oneself. Conflict: the person does already."""
    _not_oneself(person, by)
    client = Client.objects.get(pk=tenancy.current().one)
    made, fresh = Membership.objects.get_or_create(
        user=person, client=client, defaults={"role": role, "brands": sorted(set(brands))}
    )
    if not fresh:
        raise Conflict(_("This person works for the client already; change that entry."))
    return made


def change(membership: Membership, *, role: str, brands: Iterable[int] = (), by: User) -> None:
    """Another role, other brands. Raises: Refused: one's own, or another client's."""
    _ours(membership)
    _not_oneself(membership.user, by)
    with transaction.atomic():
        membership.role, membership.brands = role, sorted(set(brands))
        membership.save(update_fields=["role", "brands"])


def withdraw(membership: Membership, *, by: User) -> None:
    """The person does not work for the client any more. Raises: Refused: one's own, or another client's."""
    _ours(membership)
    _not_oneself(membership.user, by)
    membership.delete()


def _not_oneself(person: User, by: User) -> None:
    if person.pk == by.pk:
        raise Refused(_("Nobody changes his own rights; ask another administrator."))


def _ours(membership: Membership) -> None:
    if membership.client_id != tenancy.current().one:
        raise Refused(_("This is another client's."))
