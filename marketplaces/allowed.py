"""Which addresses may be called at all: what a marketplace answers must not send us anywhere else."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from marketplaces.errors import Refused


class Allowed:
    """Which addresses may be called: hosts named beforehand, by TLS; plain HTTP to a loopback host only."""

    def __init__(self, bases: Iterable[str]) -> None:
        self._exact: set[tuple[str, str, int | None]] = set()
        self._under: list[str] = []
        for base in bases:
            parts = urlsplit(base)
            host = (parts.hostname or "").lower()
            if host.startswith("*."):
                self._under.append(host[1:])
            elif parts.scheme == "https" or _is_loopback(host):
                self._exact.add((parts.scheme, host, parts.port))
            else:
                raise ValueError(f"{base} is not https")

    def check(self, url: str, operation: str) -> None:
        """Raise `Refused` unless the address is one of ours."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError as error:
            raise Refused("The address to call is not a proper one.", operation) from error
        known = (parts.scheme, host, port) in self._exact or (
            parts.scheme == "https" and port in (None, 443) and any(host.endswith(under) for under in self._under)
        )
        if not known or parts.username is not None or any(c in url for c in "\\\r\n\t "):
            where = host[:80] or "this address"
            raise Refused(f"We do not call {where}: it is none of the marketplace's hosts.", operation)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
