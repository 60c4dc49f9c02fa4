"""Access tokens under many workers: one signs in, the others use its token, and a late loser overwrites nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from domventas.core import tenancy
from domventas.core.models import Client
from marketplaces.errors import Later, Unauthorized
from marketplaces.models import Account
from marketplaces.port import Answer, Token, TokenStore
from marketplaces.protocols.sign_in import with_token
from marketplaces.services import accounts, tokens
from marketplaces.services.door import open_door
from marketplaces.services.locks import try_lock, unlock
from marketplaces.tests.support import NOW, Toy

OLD = Token("old-token", NOW + timedelta(hours=1))
NEW = Token("new-token", NOW + timedelta(hours=2))


@pytest.fixture
def store(toy: Toy, account: Account) -> TokenStore:
    return open_door(account, now=NOW).tokens


@pytest.fixture
def elsewhere(client_of: Client) -> Iterator[Callable[[Callable[[], object]], object]]:
    """Runs a function in another worker: a thread with a database session of its own."""
    with ThreadPoolExecutor(1) as pool:

        def work(function: Callable[[], object]) -> object:
            with tenancy.acting_for(client_of, actor="other"):
                return function()

        yield lambda function: pool.submit(work, function).result(timeout=10)
        pool.submit(lambda: connection.close()).result()


def test_the_first_to_come_signs_in_and_all_others_get_its_token(toy: Toy, account: Account, client_of: Client):
    made, ready = [], threading.Barrier(8)

    def sign_in() -> Token:
        made.append(threading.get_ident())
        return NEW

    def work() -> Token:
        with tenancy.acting_for(client_of, actor="worker"):
            own = open_door(account, now=NOW).tokens
            ready.wait(timeout=10)
            try:
                return own.refresh("access", sign_in, used=OLD)
            finally:
                connection.close()

    open_door(account, now=NOW).tokens.put("access", OLD)
    with ThreadPoolExecutor(8) as workers:
        got = [job.result(timeout=20) for job in [workers.submit(work) for _ in range(8)]]
    assert got == [NEW] * 8
    assert len(made) == 1


def test_a_token_somebody_else_got_meanwhile_is_used(store: TokenStore):
    store.put("access", NEW)
    assert store.refresh("access", lambda: pytest.fail("signed in"), used=OLD) == NEW
    assert store.refresh("access", lambda: pytest.fail("signed in")) == NEW


def test_a_loser_who_comes_too_late_overwrites_nothing(store: TokenStore):
    def slow() -> Token:  # its session was lost meanwhile, so another took the turn
        store.put("access", NEW)
        return Token("late-token", NOW)

    store.put("access", OLD)
    assert store.refresh("access", slow, used=OLD) == NEW
    assert store.get("access") == NEW


def test_a_token_got_with_replaced_secrets_is_not_kept(store: TokenStore, account: Account):
    def slow() -> Token:
        accounts.set_secrets(account, {"key": "another-secret"}, now=NOW + timedelta(minutes=1))
        return NEW

    assert store.refresh("access", slow) == NEW
    assert store.get("access") is None


def test_a_worker_that_signs_in_for_ever_holds_up_nobody_for_ever(
    store: TokenStore, elsewhere: Callable[..., object], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tokens, "PATIENCE", 0.2)
    key = f"{store._lock}:access"
    assert elsewhere(lambda: try_lock(key)) is True
    with pytest.raises(Later, match="still signing in"):
        store.refresh("access", lambda: NEW)
    elsewhere(lambda: unlock(key))
    assert store.refresh("access", lambda: NEW) == NEW


def test_after_a_failed_sign_in_the_next_worker_has_its_turn(store: TokenStore, elsewhere: Callable[..., object]):
    def refused() -> Token:
        raise Unauthorized("No.", "token")

    with pytest.raises(Unauthorized):
        store.refresh("access", refused)
    assert elsewhere(lambda: store.refresh("access", lambda: NEW)) == NEW


def test_a_token_refused_before_its_time_is_renewed_once(toy: Toy, account: Account):
    door, sent, made = open_door(account, now=NOW), [], []
    door.tokens.put("access", OLD)

    def sign_in() -> Token:
        made.append(1)
        return NEW

    def send(value: str) -> Answer:
        sent.append(value)
        if value == OLD.value:
            raise Unauthorized("No.", "op")
        return Answer(status=200, headers={}, body=b"")

    assert with_token(door, "access", sign_in, send).status == 200
    assert (sent, made) == (["old-token", "new-token"], [1])


def test_a_token_about_to_run_out_is_renewed_before_it_is_used(toy: Toy, account: Account):
    door = open_door(account, now=NOW)
    door.tokens.put("access", Token("nearly-over", NOW + timedelta(seconds=90)))
    sent: list[str] = []

    def refuse(value: str) -> Answer:
        sent.append(value)
        raise Unauthorized("No.", "op")

    fresh = iter([NEW, Token("newest-token", NEW.expires_at)])
    with pytest.raises(Unauthorized):
        with_token(door, "access", lambda: next(fresh), refuse)
    assert sent == ["new-token", "newest-token"]
