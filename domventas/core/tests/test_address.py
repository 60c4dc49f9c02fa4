"""A database's address: what stands in the URL is what the connection gets, with several hosts too."""

from __future__ import annotations

import pytest

from domventas.core.db.address import SEVERAL, parts_of
from domventas.core.jobs.beat import WANTED


@pytest.mark.parametrize(
    ("url", "host", "port", "options"),
    [
        ("postgresql:///name", "", "", {}),
        ("postgresql://app:p%40ss@db.example:5433/name", "db.example", "5433", {}),
        ("postgresql://app@[::1]:5433/name", "::1", "5433", {}),
        ("postgresql://app@/name?host=/tmp/run&port=5432", "/tmp/run", "5432", {}),
        ("postgresql://app@db/name?sslmode=verify-full", "db", "", {"sslmode": "verify-full"}),
        ("postgresql://app:p%40ss@a:5432,b:5433/name", "a,b", "5432,5433", SEVERAL),
        ("postgresql://app@a,b:5433/name", "a,b", "5432,5433", SEVERAL),
        ("postgresql://app@a,b/name", "a,b", "", SEVERAL),
        ("postgresql://app@/name?host=/run/a,/run/b&port=5432", "/run/a,/run/b", "5432", SEVERAL),
        ("postgresql://app@a,b/name?target_session_attrs=any", "a,b", "", SEVERAL | {"target_session_attrs": "any"}),
    ],
)
def test_what_stands_in_the_url_is_what_the_connection_gets(
    url: str, host: str, port: str, options: dict[str, str]
) -> None:
    parts = parts_of(url)
    assert (parts["NAME"], parts["HOST"], parts["PORT"], parts["OPTIONS"]) == ("name", host, port, options)
    assert parts["USER"] in ("", "app")
    assert parts["PASSWORD"] in ("", "p@ss")


def test_a_host_that_is_none_is_refused_without_its_password() -> None:
    with pytest.raises(ValueError, match="none") as refused:
        parts_of("postgresql://app:secret@a:b:c/name")
    assert "secret" not in str(refused.value)


def test_the_leader_asks_for_a_server_it_can_write_to() -> None:
    assert {"host", "port", "dbname", "user", "password", "sslmode", "target_session_attrs"} <= WANTED
    assert "options" not in WANTED
