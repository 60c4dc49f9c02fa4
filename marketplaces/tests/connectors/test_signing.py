"""Each way of proving a message: what fits passes, whatever was touched does not, several secrets may be active."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from marketplaces.events import Arrived, Forged
from marketplaces.protocols.signing import Verify, hmac_of_body, shared_header, timed_hmac

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
BODY = b'{"id": 1, "name": "\xc3\xa9"}'
OLD, NEW = "the old secret of two", "the new secret of two"


def base64_of(body: bytes, secret: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def timed(body: bytes, secret: str, at: datetime = NOW) -> str:
    moment = str(int(at.timestamp()))
    return f"t={moment},v1={hmac.new(secret.encode(), moment.encode() + b'.' + body, hashlib.sha256).hexdigest()}"


def passes(verify: Verify, body: bytes, value: str | None, secrets: Sequence[str], now: datetime = NOW) -> bool:
    headers = {} if value is None else {"x-sign": value}
    try:
        verify(Arrived(body=body, headers=headers), secrets, now)
    except Forged as error:
        assert OLD not in str(error)
        assert NEW not in str(error)
        return False
    return True


WAYS = [
    pytest.param(hmac_of_body("X-Sign"), base64_of, id="body"),
    pytest.param(timed_hmac("X-Sign"), timed, id="timed"),
    pytest.param(shared_header("X-Sign"), lambda body, secret: secret, id="shared"),
]


@pytest.mark.parametrize(("verify", "sign"), WAYS)
def test_any_active_secret_fits_and_no_other(verify: Verify, sign):
    assert passes(verify, BODY, sign(BODY, OLD), [OLD])
    assert passes(verify, BODY, sign(BODY, OLD), [NEW, OLD])
    assert passes(verify, BODY, sign(BODY, NEW), [OLD, NEW])
    assert not passes(verify, BODY, sign(BODY, OLD), [NEW])
    assert not passes(verify, BODY, sign(BODY, OLD), [])
    assert not passes(verify, BODY, sign(BODY, ""), [OLD])
    assert not passes(verify, BODY, None, [OLD])
    assert not passes(verify, BODY, "", [OLD])


@pytest.mark.parametrize(("verify", "sign"), WAYS[:2])
def test_one_bit_of_the_body_decides(verify: Verify, sign):
    for bit in range(len(BODY) * 8):
        touched = bytearray(BODY)
        touched[bit // 8] ^= 1 << bit % 8
        assert not passes(verify, bytes(touched), sign(BODY, OLD), [OLD])


@pytest.mark.parametrize(("verify", "sign"), WAYS)
def test_no_header_whatever_it_holds_makes_it_fall_over(verify: Verify, sign):
    dice = Random(4)
    letters = "tv1=,0aF \x00\n\udcff\u0661é💥+/"
    for _ in range(2000):
        assert not passes(verify, BODY, "".join(dice.choices(letters, k=dice.randrange(90))), [OLD])
    for value in ("t=" + "9" * 400 + ",v1=" + "0" * 64, "t=999999999999,v1=" + "0" * 64, "=" * 10_000, "t=1," * 5000):
        assert not passes(verify, BODY, value, [OLD])


def test_a_signed_time_may_not_be_moved_and_runs_out():
    verify, value = timed_hmac("X-Sign"), timed(BODY, OLD)
    for seconds, fits in ((0, True), (300, True), (-300, True), (301, False), (-301, False)):
        assert passes(verify, BODY, value, [OLD], NOW + timedelta(seconds=seconds)) is fits
    moved = value.replace(value[2:12], str(int(NOW.timestamp()) + 60))
    assert not passes(verify, BODY, moved, [OLD], NOW + timedelta(seconds=60))


def test_a_far_away_time_is_refused_even_if_it_is_signed():
    for moment in ("0", "999999999999"):
        signed = moment.encode() + b"." + BODY
        value = f"t={moment},v1={hmac.new(OLD.encode(), signed, hashlib.sha256).hexdigest()}"
        assert not passes(timed_hmac("X-Sign"), BODY, value, [OLD])


def test_another_tools_digest_fits():
    """`printf '{"id":1}' | openssl dgst -sha256 -hmac hush -binary | base64`"""
    digest = "VnKUjZsLuN5iZWjn5EntcBVCF9kMN43LglzCE1/GSeY="
    assert passes(hmac_of_body("X-Sign"), b'{"id":1}', digest, ["hush"])
