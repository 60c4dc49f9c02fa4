"""Opens the way to a marketplace for one account: hosts, secrets, tokens and the one HTTP client."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.utils.timezone import now as wall_clock

from domventas.core.errors import DomventasError
from marketplaces.errors import Unauthorized
from marketplaces.http import HttpClient
from marketplaces.models import Account, AccountSite, Credential, Stream
from marketplaces.port import Connector, Credentials, Door, Priority, SiteSpec
from marketplaces.registry import connectors
from marketplaces.services.tokens import StoredTokens
from marketplaces.shared import breaker, budget_key, limiter


class NoSuchMarketplace(DomventasError):
    """The account's connector is not installed, or the account sells on none of its sites."""

    message = "This account's marketplace is not installed here."


def connector_of(account: Account) -> Connector:
    """The connector of an account. Raises: NoSuchMarketplace."""
    connector = connectors.get(account.channel)
    if connector is None:
        raise NoSuchMarketplace(detail=account.channel)
    return connector


def open_door(account: Account, *, now: datetime, priority: Priority = Priority.REALTIME) -> Door:
    """Everything a connector needs to open a session for an account. No request is sent yet.

    Args:
        priority: the class of the calls; without one somebody waits for them.

    The door's clock starts at `now` and goes on with the wall clock, so that windows and token lives agree.

    Raises: NoSuchMarketplace. Unauthorized: nobody has entered the account's secrets yet.
    """
    connector = connector_of(account)
    sites = sites_of(account, connector)
    credential = Credential.objects.filter(account=account).first()
    if credential is None:
        raise Unauthorized("Nobody has entered the secrets of this account yet.")
    secrets = Credentials(credential.secrets)
    hosts = hosts_of(account, sites)
    started = wall_clock()

    def clock() -> datetime:
        return now + (wall_clock() - started)

    if not _was_called(account):
        limiter().welcome(budget_key(account))
    http = HttpClient(
        account=budget_key(account),
        hosts=hosts.values(),
        limits=connector.limits,
        limiter=limiter(),
        breaker=breaker(),
        priority=priority,
        secrets=secrets.values(),
        clock=clock,
    )
    return Door(
        account_ref=account.external_id,
        sites=sites,
        hosts=hosts,
        credentials=secrets,
        http=http,
        tokens=StoredTokens(credential, hide=http.hide),
        clock=clock,
    )


def _was_called(account: Account) -> bool:
    """Whether a reading of this account has ever come to an end, good or bad."""
    ended = Stream.objects.filter(account=account).exclude(last_success_at=None, last_error_at=None)
    return ended.exists()


def sites_of(account: Account, connector: Connector) -> tuple[SiteSpec, ...]:
    """The connector's sites this account sells on. Raises: NoSuchMarketplace: none."""
    enabled = set(AccountSite.objects.filter(account=account, is_enabled=True).values_list("site__code", flat=True))
    sites = tuple(site for site in connector.sites if site.code in enabled)
    if not sites:
        raise NoSuchMarketplace("This account sells on no site.", detail=account.code)
    return sites


def hosts_of(account: Account, sites: tuple[SiteSpec, ...]) -> dict[str, str]:
    """Role → base URL: the live hosts, or for a sandbox account the one address the settings name."""
    hosts: dict[str, str] = {}
    for site in sites:
        if account.environment == Account.Environment.SANDBOX:
            hosts |= site.hosts_at(settings.SANDBOX_URL)
        else:
            hosts |= site.hosts
    return hosts
