"""A database's address as a URL, for Django: one host or several, of which one can be written to at a time."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

#: A host or an IPv6 address in brackets, and its port.
_HOST: Final = re.compile(r"(?:\[([^]]*)\]|([^:]*))(?::(\d+))?")
#: Where several hosts are named: take the one that can be written to, and give up soon on one that does not answer.
SEVERAL: Final = {"target_session_attrs": "read-write", "connect_timeout": "3"}


def parts_of(url: str) -> dict[str, Any]:
    """`postgresql://user:password@host:port,host:port/name?option=…` → Django's keys; options as libpq names them.

    Raises: ValueError: a host that is none.
    """
    given = urlsplit(url)
    options = {key: values[-1] for key, values in parse_qs(given.query).items()}
    hosts, ports = [], []
    for one in given.netloc.rpartition("@")[2].split(","):
        match = _HOST.fullmatch(one)
        if match is None:
            raise ValueError("The address of the database names a host that is none.")
        hosts.append(unquote(match[1] or match[2] or ""))
        ports.append(match[3] or "")
    host = options.pop("host", ",".join(hosts))
    port = options.pop("port", ",".join(one or "5432" for one in ports) if any(ports) else "")
    return {
        "NAME": given.path[1:],
        "USER": unquote(given.username or ""),
        "PASSWORD": unquote(given.password or ""),
        "HOST": host,
        "PORT": port,
        "OPTIONS": (SEVERAL if "," in host else {}) | options,
    }
