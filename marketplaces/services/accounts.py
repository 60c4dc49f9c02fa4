"""Accounts: made with their sites and secrets, tested, paused and resumed. Secrets go in and never come out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from domventas.core import tenancy
from domventas.core.errors import Refused
from marketplaces.errors import BorderError
from marketplaces.models import Account, AccountSite, Credential, Site, Stream
from marketplaces.port import Checked, Connector
from marketplaces.registry import connectors
from marketplaces.services import streams
from marketplaces.services.door import NoSuchMarketplace, connector_of, open_door
from marketplaces.signals import account_created


def create_account(
    *,
    channel: str,
    code: str,
    name: str,
    external_id: str,
    sites: Iterable[str],
    secrets: Mapping[str, str],
    now: datetime,
    environment: str = Account.Environment.SANDBOX,
    cutover_on: date | None = None,
    status: str = Account.Status.ACTIVE,
    expires_on: date | None = None,
) -> Account:
    """Make an account of the acting client with its sites, secrets and streams, and tell the apps above.

    Args:
        sites: codes of the connector's sites, at least one.
        secrets: values by the names the connector asks for.
        cutover_on: nothing older is read; None = as far back as the marketplace answers.
        status: `new` = nothing is read before somebody has finished connecting it.
        expires_on: the day the secrets run out; None = as the connector knows it.

    Raises: Refused: no such marketplace or site, or secrets missing or unknown.
    """
    connector = connectors.get(channel)
    if connector is None:
        raise Refused(_("There is no marketplace “%(name)s”.") % {"name": channel})
    with transaction.atomic():
        account = Account.objects.create(
            channel=channel,
            code=code,
            name=name,
            external_id=external_id,
            environment=environment,
            cutover_on=cutover_on,
            status=status,
        )
        set_sites(account, sites)
        set_secrets(account, secrets, now=now, expires_on=expires_on)
        streams.ensure(account)
        account_created.send(sender=Account, account=account, now=now)
    return account


def change_account(
    account: Account,
    *,
    sites: Iterable[str],
    secrets: Mapping[str, str],
    now: datetime,
    expires_on: date | None = None,
) -> None:
    """Keep what a person changed: name and first day as they stand on `account`, its sites, and new secrets if any.

    `expires_on` is of the new secrets; see `set_expiry` for those that are kept.

    Raises: Refused: see `set_sites` and `set_secrets`.
    """
    with transaction.atomic():
        account.save(update_fields=["name", "cutover_on"])
        set_sites(account, sites)
        if secrets:
            set_secrets(account, secrets, now=now, expires_on=expires_on)


def set_sites(account: Account, codes: Iterable[str]) -> None:
    """Sell on exactly these sites; others are switched off, their history stays.

    Raises: Refused: the marketplace has no such site, or none is given.
    """
    wanted = set(codes)
    known = {site.code: site for site in Site.objects.filter(channel=account.channel)}
    if not wanted or wanted - known.keys():
        missing = ", ".join(sorted(wanted - known.keys()))
        raise Refused(_("This marketplace has no site “%(site)s”.") % {"site": missing})
    with transaction.atomic():
        have = {row.site_id: row for row in AccountSite.objects.filter(account=account)}
        for site in known.values():
            row = have.get(site.pk)
            if row is None and site.code in wanted:
                AccountSite.objects.create(account=account, site=site)
            elif row is not None and row.is_enabled != (site.code in wanted):
                row.is_enabled = site.code in wanted
                row.save(update_fields=["is_enabled"])


def set_expiry(account: Account, expires_on: date | None) -> None:
    """Say on which day the secrets that are kept run out; None = as the connector knows it."""
    Credential.objects.filter(account=account).exclude(expires_on=expires_on).update(expires_on=expires_on)


def set_secrets(
    account: Account, secrets: Mapping[str, str], *, now: datetime, expires_on: date | None = None
) -> Credential:
    """Replace the secrets of an account; access tokens got with the old ones are thrown away.

    Args:
        expires_on: the day they run out; None = as the connector knows it.

    Raises: Refused: one the marketplace asks for is missing, or one it does not know is given.
    """
    connector = connector_of(account)
    given = fitting(connector, secrets)
    says: dict[str, Any] = {
        "secrets": given,
        "tokens": {},
        "fingerprint": _ending(given[connector.credential_fields[-1].name]),
        "set_by": tenancy.current().actor[:254],
        "set_at": now,
        "expires_on": expires_on,
    }
    credential, _made = Credential.objects.update_or_create(account=account, defaults=says)
    return credential


def fitting(connector: Connector, secrets: Mapping[str, str]) -> dict[str, str]:
    """The secrets without blanks around them. Raises: Refused: one is missing, or the marketplace knows none such."""
    given = {name: value.strip() for name, value in secrets.items() if value and value.strip()}
    wanted = {field.name for field in connector.credential_fields}
    if wrong := sorted(wanted ^ given.keys()):
        raise Refused(_("These secrets do not fit the marketplace: %(names)s.") % {"names": ", ".join(wrong)})
    return given


def test_connection(account: Account, *, now: datetime) -> Checked:
    """Sign in and say in words what was found; a broken account that signs in again is read again."""
    try:
        door = open_door(account, now=now)
        connector: Connector = connector_of(account)
        checked = connector.check(connector.open(door))
    except BorderError as error:
        checked = Checked(ok=False, message=str(error), cause=error)
    except NoSuchMarketplace as error:
        checked = Checked(ok=False, message=error.message)
    if checked.ok and account.status == Account.Status.BROKEN:
        resume(account)
    return checked


def pause(account: Account, *, why: str = "") -> None:
    """Read nothing of this account until somebody resumes it."""
    _set_status(account, Account.Status.PAUSED, why)


def resume(account: Account) -> None:
    """Read the account again; what was missed meanwhile is a gap and will be asked for."""
    _set_status(account, Account.Status.ACTIVE, "")
    Stream.objects.filter(account=account).update(not_before=None)


def _set_status(account: Account, status: Account.Status, note: str) -> None:
    account.status, account.status_note = status, note[:300]
    account.save(update_fields=["status", "status_note"])


def _ending(secret: str) -> str:
    """The last characters, so that people recognize which secret it is; never more than a quarter of it."""
    return secret[-min(4, len(secret) // 4) :] if len(secret) >= 4 else ""
