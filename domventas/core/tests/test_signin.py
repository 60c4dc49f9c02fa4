"""Signing in: guessing, sessions that end, the second factor, the password once more, and what headers say."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from django.conf import settings as site
from django.db import connection
from django.test import Client as Browser
from django.utils.timezone import now as clock
from django_otp.oath import TOTP

from domventas.core import crypto, keys
from domventas.core.models import Client, Membership, SecondFactor, User
from domventas.core.roles import Role
from domventas.core.signin import factor, session

PASSWORD = "a long password"
HOME = "/c/dom-ventas/"


@pytest.fixture
def ines(client_dv: Client) -> User:
    user = User.objects.create_user("ines@example.com", PASSWORD)
    Membership.objects.create(user=user, client=client_dv, role=Role.ADMIN)
    return user


@pytest.fixture(autouse=True)
def fresh_budgets() -> Iterator[None]:
    """Tries of earlier tests do not count here."""
    valkey: Any = redis.Redis.from_url(site.REDIS_URL)
    for key in valkey.scan_iter("api:try:*"):
        valkey.delete(key)
    yield


def sign_in(
    browser: Browser, password: str = PASSWORD, email: str = "ines@example.com", address: str = "10.1.1.1"
) -> Any:
    given = {"username": email, "password": password}
    return browser.post("/admin/login/?next=/", given, REMOTE_ADDR=address)


def code_of(user: User, moment: datetime | None = None) -> str:
    """What the phone shows."""
    app = TOTP(base64.b32decode(factor.spelled(SecondFactor.objects.get(user=user))))
    app.time = (moment or clock()).timestamp()
    return f"{app.token():06d}"


def with_factor(user: User) -> list[str]:
    """Set up and confirmed a minute ago; returns the recovery codes."""
    factor.begin(user)
    before = clock() - timedelta(minutes=1)
    codes = factor.confirm(user, code_of(user, before), now=before)
    assert codes
    return codes


def test_who_guesses_is_locked_out_and_the_true_person_elsewhere_is_not(ines: User) -> None:
    guesses = [sign_in(Browser(), f"guess {n}").status_code for n in range(7)]
    assert guesses[:4] == [200] * 4 and guesses[4:] == [429] * 3
    assert sign_in(Browser()).status_code == 429, "even the right one, from there"
    assert sign_in(Browser(), address="10.2.2.2").status_code == 302
    assert sign_in(Browser(), "x", "other@example.com").status_code == 200, "another name is not held up"


def test_capitals_give_no_further_tries(ines: User) -> None:
    names = ("ines@example.com", "Ines@example.com", "INES@example.com", "iNes@example.com", "ineS@Example.com")
    guesses = [sign_in(Browser(), "guess", name).status_code for name in (*names, "INES@EXAMPLE.COM")]
    assert guesses == [200] * 4 + [429] * 2


def test_an_unknown_name_is_answered_like_a_wrong_password(ines: User) -> None:
    known, unknown = sign_in(Browser(), "wrong"), sign_in(Browser(), "wrong", "nobody@example.com")
    words = [reply.content.decode().partition("errornote")[2][:300] for reply in (known, unknown)]
    assert known.status_code == unknown.status_code == 200
    assert words[0].replace("ines", "nobody") == words[1].replace("ines", "nobody")


def test_the_guess_itself_is_kept_nowhere(ines: User) -> None:
    sign_in(Browser(), "my-other-password-by-mistake")
    with connection.cursor() as cursor:
        cursor.execute("SELECT username, a::text FROM axes_accessattempt a")
        ((name, kept),) = cursor.fetchall()
    assert name == "ines@example.com" and "my-other-password" not in kept


@pytest.mark.parametrize(
    ("name", "age", "lasts"),
    [
        ("seen_at", session.IDLE - timedelta(minutes=1), True),
        ("seen_at", session.IDLE + timedelta(seconds=5), False),
        ("began_at", session.LONGEST - timedelta(minutes=1), True),
        ("began_at", session.LONGEST + timedelta(seconds=5), False),
    ],
)
def test_a_sign_in_ends_idle_or_old(name: str, age: timedelta, lasts: bool, ines: User) -> None:
    browser = Browser()
    browser.force_login(ines)
    kept = browser.session
    kept[name] = (clock() - age).timestamp()
    kept.save()
    reply = browser.get(HOME)
    assert (reply.status_code == 200) is lasts
    if not lasts:
        assert reply["Location"].startswith("/admin/login/") and browser.get(HOME).status_code == 302


def test_a_new_password_ends_the_other_sign_ins_and_so_does_closing_the_person(ines: User) -> None:
    here, there = Browser(), Browser()
    for browser in (here, there):
        browser.force_login(ines)
    ines.set_password("another long password")
    ines.save()
    assert there.get(HOME).status_code == 302
    here.force_login(ines)
    assert here.get(HOME).status_code == 200
    User.objects.update(is_active=False)
    assert here.get(HOME).status_code == 302


def test_a_client_that_wants_a_second_factor_sends_its_people_to_set_one_up(ines: User, client_dv: Client) -> None:
    Client.objects.update(requires_second_factor=True)
    browser = Browser()
    browser.force_login(ines)
    reply = browser.get(HOME)
    assert reply["Location"] == "/sign-in/enroll/?next=%2Fc%2Fdom-ventas%2F"
    page = browser.get(reply["Location"])
    assert "data:image/svg" in page.content.decode() and factor.spelled(ines.second_factor) in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert browser.post("/sign-in/enroll/", {"code": "000000"}).status_code == 422
    done = browser.post("/sign-in/enroll/", {"code": code_of(ines), "next": HOME})
    assert done.content.decode().count("<li>") == factor.RECOVERY_CODES
    assert browser.get(HOME).status_code == 200


def test_who_has_a_factor_works_only_after_a_code_that_is_good_once(ines: User) -> None:
    with_factor(ines)
    browser = Browser()
    browser.force_login(ines)
    for path in (HOME, "/c/dom-ventas/admin/orders/order/", "/admin/"):
        assert browser.get(path)["Location"].startswith("/sign-in/second/"), path
    name, code = browser.session.session_key, code_of(ines)
    assert browser.post("/sign-in/second/", {"code": code, "next": HOME})["Location"] == HOME
    assert browser.session.session_key != name, "a stolen half sign-in would rise with it"
    assert browser.get(HOME).status_code == 200
    other = Browser()
    other.force_login(ines)
    assert other.post("/sign-in/second/", {"code": code}).status_code == 422, "seen over the shoulder"


def test_codes_of_neighbouring_steps_pass_and_older_ones_do_not(ines: User) -> None:
    with_factor(ines)
    now = clock()
    assert not factor.accept(ines, code_of(ines, now - timedelta(seconds=90)), now=now)
    assert factor.accept(ines, code_of(ines, now + timedelta(seconds=30)), now=now)
    assert not factor.accept(ines, code_of(ines, now), now=now), "older than the last one used"


def test_a_recovery_code_lets_in_once(ines: User) -> None:
    first, second, *_rest = with_factor(ines)
    assert factor.accept(ines, f" {first.upper()} ", now=clock())
    assert not factor.accept(ines, first, now=clock())
    assert factor.accept(ines, second, now=clock())
    assert not factor.accept(ines, "", now=clock())


def test_codes_cannot_be_guessed_by_the_thousand(ines: User) -> None:
    with_factor(ines)
    browser = Browser()
    browser.force_login(ines)
    told = [browser.post("/sign-in/second/", {"code": f"{n:06d}"}).content.decode() for n in range(8)]
    assert "not right" in told[0] and "Too many tries" in told[-1]
    assert "Too many tries" in browser.post("/sign-in/second/", {"code": code_of(ines)}).content.decode()


def test_the_key_is_sealed_and_moves_with_the_ring(ines: User, settings: Any) -> None:
    factor.begin(ines)
    sealed = SecondFactor.objects.get().sealed_key
    assert factor.spelled(SecondFactor.objects.get()) not in sealed
    assert any(column.table == "core_secondfactor" and column.owner == "0" for column in keys.columns())
    with pytest.raises(crypto.Unreadable):
        crypto.decrypt(sealed, client=1)


def test_a_confirmed_factor_is_not_replaced_by_the_setup_page(ines: User) -> None:
    with_factor(ines)
    before = SecondFactor.objects.get().sealed_key
    browser = Browser()
    browser.force_login(ines)
    assert browser.get("/sign-in/enroll/").status_code == 302
    factor.begin(ines)
    assert SecondFactor.objects.get().sealed_key == before
    assert factor.confirm(ines, code_of(ines), now=clock()) is None


def unsure(ines: User) -> Browser:
    browser = Browser()
    browser.force_login(ines)
    kept = browser.session
    kept["sure_at"] = (clock() - session.SURE - timedelta(seconds=5)).timestamp()
    kept.save()
    return browser


@pytest.mark.parametrize("page", ["core/apitoken/add/", "marketplaces/account/add/"])
def test_secrets_open_only_after_the_password_was_shown_again(page: str, ines: User) -> None:
    browser, path = unsure(ines), f"{HOME}admin/{page}"
    reply = browser.get(path)
    assert reply["Location"].startswith("/sign-in/again/?next=") and browser.get(f"{HOME}admin/").status_code == 200
    assert browser.post(path, {"_client": "dom-ventas", "name": "x"})["Location"].startswith("/sign-in/again/")
    assert browser.post("/sign-in/again/", {"password": "wrong", "next": path}).status_code == 422
    assert browser.post("/sign-in/again/", {"password": PASSWORD, "next": path})["Location"] == path
    assert browser.get(path).status_code == 200


@pytest.mark.parametrize(
    "wish", ["//evil.example/", "https://evil.example/", "javascript:alert(1)", "\\\\evil.example"]
)
def test_the_way_on_never_leads_elsewhere(wish: str, ines: User) -> None:
    browser = unsure(ines)
    assert browser.post("/sign-in/again/", {"password": PASSWORD, "next": wish})["Location"] == "/"


def test_behind_a_proxy_the_address_is_what_the_proxy_saw(rf: Any, settings: Any) -> None:
    request = rf.get("/", HTTP_X_FORWARDED_FOR="1.1.1.1, 9.9.9.9", REMOTE_ADDR="10.0.0.1")
    assert session.address_of(request) == "10.0.0.1", "without a declared proxy anybody may write that header"
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert session.address_of(request) == "9.9.9.9"


@pytest.mark.parametrize(
    "path", [HOME, f"{HOME}admin/orders/order/", "/admin/login/", "/health", "/api/v1/me", "/nowhere"]
)
def test_every_answer_says_what_a_browser_may_do_with_it(path: str, ines: User) -> None:
    browser = Browser()
    browser.force_login(ines)
    said = browser.get(path).headers
    policy = said["Content-Security-Policy"]
    for part in ("default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert part in policy
    script = next(part for part in policy.split(";") if "script-src" in part)
    assert "unsafe-inline" not in script and "http" not in script
    assert said["X-Content-Type-Options"] == "nosniff" and said["X-Frame-Options"] == "DENY"
    assert said["Referrer-Policy"] == "same-origin" and "camera=()" in said["Permissions-Policy"]
    assert "no-store" in said["Cache-Control"] or "no-cache" in said["Cache-Control"]


def test_djangos_deployment_check_has_nothing_to_say() -> None:
    environment = {
        **os.environ, "SECRET_KEY": "a0b1c2d3e4f5g6h7i8j9" * 4, "BEHIND_PROXY": "1",
        "ALLOWED_HOSTS": "backoffice.example.com",
        "DATABASE_URL": "postgresql://app@db.invalid/domventas", "REDIS_URL": "redis://db.invalid",
    }  # fmt: skip
    environment.pop("DOMVENTAS_OWN_SERVERS", None)
    environment["DOMVENTAS_KEYRING"] = base64.urlsafe_b64encode(b"k" * 32).decode()
    done = subprocess.run(
        [sys.executable, str(site.BASE_DIR / "manage.py"), "check", "--deploy", "--fail-level", "WARNING"],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "0 silenced" in done.stdout
