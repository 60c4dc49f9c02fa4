"""A person's second factor at sign-in."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from domventas.core.models.people import User


class SealedField(models.TextField):  # type: ignore[type-arg]  # plain strings
    """A token of `core.crypto` for nobody's client; found by the move of keys through its mark."""

    encrypted = True


class SecondFactor(models.Model):
    """The app on a person's phone: its key, sealed, and what of it is used up. Belongs to no client, as people do."""

    volatile: ClassVar[bool] = True

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="second_factor", verbose_name=_("person"))
    sealed_key = SealedField(_("key, sealed"))
    confirmed_at = models.DateTimeField(_("confirmed at"), null=True, blank=True)
    last_step = models.BigIntegerField(
        _("last step used"), default=0, help_text=_("a code is good once, even within its half minute")
    )
    recovery_hashes = ArrayField(models.CharField(max_length=64), verbose_name=_("recovery codes left"), default=list)

    class Meta:
        verbose_name = _("second factor")
        verbose_name_plural = _("second factors")

    def __str__(self) -> str:
        return str(self.user)
