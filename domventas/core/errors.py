"""Errors with two texts: one a person may read, one for the log."""

from __future__ import annotations


class DomventasError(Exception):
    """Base of the house's own errors.

    `message` is written for the person at the screen and carries no secret; `detail` is for the log only.
    """

    message: str = "Something went wrong."

    def __init__(self, message: str | None = None, *, detail: str = "") -> None:
        self.message = message or type(self).message
        self.detail = detail
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} ({self.detail})" if self.detail else self.message


class Refused(DomventasError):
    """The rules of the house forbid it; trying again will not help."""

    message = "This is not allowed."


class Conflict(DomventasError):
    """Somebody else changed the same thing in the meantime."""

    message = "Somebody else has changed this in the meantime. Look again, then decide."
