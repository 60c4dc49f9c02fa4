"""Tries a sign-in before anything of it is stored: secrets, sites and seller as a person has just entered them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from django.utils.timezone import now as wall_clock
from django.utils.translation import gettext as _

from domventas.core import tenancy
from domventas.core.errors import Refused
from marketplaces.errors import BorderError
from marketplaces.http import HttpClient
from marketplaces.models import Account
from marketplaces.port import Checked, Connector, Credentials, Door, Priority, Token
from marketplaces.registry import connectors
from marketplaces.services.accounts import fitting
from marketplaces.services.door import hosts_of
from marketplaces.shared import breaker, limiter


class HeldTokens:
    """Access tokens for as long as a trial lasts, in memory only."""

    def __init__(self, hide: Callable[[str], None]) -> None:
        self._tokens: dict[str, Token] = {}
        self._hide = hide

    def get(self, name: str) -> Token | None:
        """The token of that name, run out or not."""
        return self._tokens.get(name)

    def put(self, name: str, token: Token) -> None:
        """Keep a new token."""
        self._tokens[name] = token

    def refresh(self, name: str, make: Callable[[], Token], *, used: Token | None = None) -> Token:
        """See `port.TokenStore`."""
        token = make()
        self._hide(token.value)
        self.put(name, token)
        return token


def try_sign_in(
    *,
    channel: str,
    external_id: str,
    sites: Iterable[str],
    environment: str,
    secrets: Mapping[str, str],
    now: datetime,
) -> Checked:
    """Sign in with these secrets and say in words what was found. Writes nothing.

    Raises: Refused: no such marketplace or site, or secrets missing or unknown.
    """
    connector = connectors.get(channel)
    if connector is None:
        raise Refused(_("There is no marketplace “%(name)s”.") % {"name": channel})
    try:
        return connector.check(connector.open(_door(connector, external_id, sites, environment, secrets, now)))
    except BorderError as error:
        return Checked(ok=False, message=str(error), cause=error)


def _door(
    connector: Connector,
    external_id: str,
    codes: Iterable[str],
    environment: str,
    secrets: Mapping[str, str],
    now: datetime,
) -> Door:
    wanted = set(codes)
    sites = tuple(site for site in connector.sites if site.code in wanted)
    if not sites or len(sites) < len(wanted):
        missing = ", ".join(sorted(wanted - {site.code for site in sites}))
        raise Refused(_("This marketplace has no site “%(site)s”.") % {"site": missing})
    given = Credentials(fitting(connector, secrets))
    hosts = hosts_of(Account(channel=connector.name, environment=environment), sites)
    key = f"{tenancy.current().one}:trial:{connector.name}:{external_id}"
    started = wall_clock()

    def clock() -> datetime:
        return now + (wall_clock() - started)

    limiter().welcome(key)
    http = HttpClient(
        account=key, hosts=hosts.values(), limits=connector.limits, limiter=limiter(), breaker=breaker(),
        priority=Priority.REALTIME, secrets=given.values(), clock=clock,
    )  # fmt: skip
    return Door(
        account_ref=external_id, sites=sites, hosts=hosts, credentials=given, http=http, tokens=HeldTokens(http.hide),
        clock=clock,
    )  # fmt: skip
