"""What a failed test of a sign-in means and what to do about it, by its cause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.utils.translation import gettext as _

from marketplaces.errors import Down, Later, Malformed, Refused, Unauthorized, Unavailable
from marketplaces.models import Account
from marketplaces.port import Checked, Connector

FORBIDDEN: Final = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A failed test in words: what it is, what the marketplace said, and what to do, one sentence each."""

    head: str
    said: str
    steps: list[Any]


def advice(checked: Checked, connector: Connector, environment: str) -> Advice:
    """Explain a test that failed."""
    is_sandbox = environment == Account.Environment.SANDBOX
    head, steps = _explained(checked, connector, is_sandbox)
    return Advice(head=head, said=checked.message, steps=steps)


def _explained(checked: Checked, connector: Connector, is_sandbox: bool) -> tuple[str, list[str]]:
    cause, name = checked.cause, connector.label
    match cause:
        case Unauthorized() if cause.status == FORBIDDEN:
            return _("%(name)s knows the key, but not for this seller.") % {"name": name}, [
                _("Compare the seller or shop id with what the marketplace shows for these secrets."),
                _("If it is the right one, the key lacks a right: give it orders, offers, finances and shipments."),
            ]
        case Unauthorized():
            return _("%(name)s did not accept these secrets.") % {"name": name}, _about_secrets(connector, is_sandbox)
        case Down() | Unavailable() if cause.status is None:
            return _("%(name)s gave no answer.") % {"name": name}, _about_silence(is_sandbox)
        case Unavailable():
            return _("%(name)s is in trouble itself.") % {"name": name}, [
                _("Nothing is wrong with what you entered. Try again in a few minutes."),
                _("If it lasts, look at the marketplace's status page."),
            ]
        case Later():
            return _("%(name)s asks us to wait.") % {"name": name}, [
                _("Too many tests in a short time. Wait %(minutes)s min and test again.")
                % {"minutes": max(1, round(cause.after.total_seconds() / 60))},
            ]
        case Refused():
            return _("%(name)s let us in but refused the question.") % {"name": name}, [
                _("The app or key lacks a right: give it the rights for orders, offers, finances and shipments."),
                _("A right given later often needs a new consent: make new secrets and enter those."),
            ]
        case Malformed():
            return _("What answered is not %(name)s as we know it.") % {"name": name}, [
                _("A proxy or sign-in page in between may have answered instead: ask whoever runs your network."),
                _("If there is none, the marketplace has changed: tell us, with the words above."),
            ]
        case _:
            return _("The sign-in works, but this is not the seller or the site you named."), [
                _("Compare the seller or shop id and the sites in step 2 with what the marketplace shows."),
                _("The secrets may belong to another account or region: make them while signed in as this seller."),
            ]


def _about_secrets(connector: Connector, is_sandbox: bool) -> list[str]:
    fields = [
        f"{field.label}: {field.help}" if field.help else str(field.label) for field in connector.credential_fields
    ]
    place = (
        _("This is a sandbox account: it takes the sandbox's secrets only, never live ones.")
        if is_sandbox
        else _("This is a live account: secrets of a sandbox do not work here.")
    )
    return [
        _("Copy each of them anew, whole, without a space or line break: %(fields)s") % {"fields": " ".join(fields)},
        place,
        _("A consent that was withdrawn or has run out needs new secrets from the marketplace."),
    ]


def _about_silence(is_sandbox: bool) -> list[str]:
    if is_sandbox:
        return [
            _("The sandbox should answer at %(url)s. Start it with “manage.py sandbox”, or correct SANDBOX_URL.")
            % {"url": settings.SANDBOX_URL},
            _("Then test again."),
        ]
    return [
        _("Ask whoever runs your network whether this server may reach the marketplace's address named above."),
        _("If others can reach it, wait a few minutes and test again."),
    ]
