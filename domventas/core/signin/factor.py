"""The second factor: time-based codes (RFC 6238) from an app, each good once, and recovery codes for a lost phone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Final
from urllib.parse import quote

import segno
from django.db import transaction
from django_otp.oath import TOTP

from domventas.core import crypto
from domventas.core.models import SecondFactor, User

#: Sealed for nobody's client: people belong to none.
NOBODY: Final = 0
#: Steps of 30 s a phone's clock may be off, either way.
_DRIFT: Final = 1
RECOVERY_CODES: Final = 10
ISSUER: Final = "domventas"


def confirmed(user: User) -> SecondFactor | None:
    """The factor a person signs in with; None while there is none, or it was never confirmed."""
    return SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).first()


def is_required(user: User) -> bool:
    """Whether one of a person's clients wants a second factor of all its people."""
    return user.memberships.filter(client__active=True, client__requires_second_factor=True).exists()


def begin(user: User) -> SecondFactor:
    """Make a key to be confirmed; a confirmed one is left alone, an unconfirmed one kept for a reload of the page."""
    found = SecondFactor.objects.filter(user=user).first()
    if found is not None:
        return found
    sealed = crypto.encrypt(secrets.token_bytes(20), client=NOBODY)
    return SecondFactor.objects.get_or_create(user=user, defaults={"sealed_key": sealed})[0]


def address(factor: SecondFactor) -> str:
    """What an app reads from the picture."""
    label = quote(f"{ISSUER}:{factor.user.email}")
    return f"otpauth://totp/{label}?secret={spelled(factor)}&issuer={ISSUER}"


def picture(factor: SecondFactor) -> str:
    """The address as a picture, inside the page: nothing is fetched for it, nothing keeps it."""
    return segno.make(address(factor), error="m").svg_data_uri(scale=5)


def spelled(factor: SecondFactor) -> str:
    """The key as people type it where there is no camera."""
    return base64.b32encode(_key(factor)).decode()


def accept(user: User, code: str, *, now: datetime) -> bool:
    """Whether a code of the app is right and new, or a recovery code is left; either is used up by it."""
    digits = code.replace(" ", "")
    with transaction.atomic():
        factor = SecondFactor.objects.select_for_update().filter(user=user).first()
        if factor is None:
            return False
        if len(digits) == 6 and digits.isascii() and digits.isdigit():
            step = _step_of(factor, int(digits), now)
            if step is None:
                return False
            SecondFactor.objects.filter(pk=factor.pk).update(last_step=step)
            return True
        used = _hash(code)
        left = [kept for kept in factor.recovery_hashes if not hmac.compare_digest(kept, used)]
        if factor.confirmed_at is None or len(left) == len(factor.recovery_hashes):
            return False
        SecondFactor.objects.filter(pk=factor.pk).update(recovery_hashes=left)
        return True


def confirm(user: User, code: str, *, now: datetime) -> list[str] | None:
    """Confirm a new factor by its first code; returns recovery codes, shown once, or None: the code is wrong."""
    if confirmed(user) is not None or not accept(user, code, now=now):
        return None
    codes = [f"{secrets.token_hex(4)}-{secrets.token_hex(4)}" for _n in range(RECOVERY_CODES)]
    SecondFactor.objects.filter(user=user).update(confirmed_at=now, recovery_hashes=[_hash(one) for one in codes])
    return codes


def remove(user: User) -> None:
    """Forget a person's factor: the phone is lost, no recovery code is left; an operator does it, after a call."""
    SecondFactor.objects.filter(user=user).delete()


def _step_of(factor: SecondFactor, code: int, now: datetime) -> int | None:
    """The step a code belongs to, newer than the last one used."""
    clock = TOTP(_key(factor))
    clock.time = now.timestamp()
    if not clock.verify(code, tolerance=_DRIFT, min_t=factor.last_step + 1):
        return None
    return int(clock.t())


def _key(factor: SecondFactor) -> bytes:
    return crypto.decrypt(factor.sealed_key, client=NOBODY)


def _hash(code: str) -> str:
    return hashlib.sha256(code.strip().lower().encode()).hexdigest()
