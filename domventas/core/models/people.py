"""Clients, the people who work for them, and in which role."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib.auth import get_backends
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import CurrencyField, currency_check
from domventas.core.roles import Role


class Client(models.Model):
    """A company whose marketplaces we run. Everything else belongs to exactly one of them."""

    slug = models.SlugField(_("short name"), max_length=40, unique=True)
    name = models.CharField(_("name"), max_length=100)
    base_currency = CurrencyField(_("reporting currency"), default="EUR")
    zone = models.CharField(_("time zone"), max_length=60, default="Europe/Berlin")
    active = models.BooleanField(_("active"), default=True)
    requires_second_factor = models.BooleanField(
        _("second factor"), default=False, help_text=_("everybody who works for this client shows a code at sign-in")
    )

    class Meta:
        ordering = ["name"]
        verbose_name = _("client")
        verbose_name_plural = _("clients")
        constraints = [currency_check("core_client", "base_currency")]

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    """Makes people; the e-mail address is kept in lower case, as nobody tells two people apart by capitals."""

    def create_user(self, email: str, password: str | None = None, **extra: Any) -> User:
        """A person who can sign in. Without a password the account is closed until one is set."""
        user = self.model(email=email.strip().lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> User:
        """A platform operator: runs the platform, sees no client's business."""
        return self.create_user(email, password, is_operator=True, **extra)

    def get_by_natural_key(self, username: str | None) -> User:
        """Sign-in by e-mail in any spelling of capitals."""
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser):
    """A person. The e-mail address is the login; rights come from memberships, never from the person.

    There is no superuser: Django would let one pass before any backend is asked.
    """

    email = models.EmailField(_("e-mail"), unique=True)
    name = models.CharField(_("name"), max_length=100, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    is_operator = models.BooleanField(_("platform operator"), default=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()
    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    is_superuser = False

    class Meta:
        ordering = ["email"]
        verbose_name = _("person")
        verbose_name_plural = _("people")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(email=models.functions.Lower("email")), name="core_user_email_check"
            )
        ]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_staff(self) -> bool:
        """May enter the admin: an operator, or somebody with a membership."""
        return self.is_active and (self.is_operator or self.memberships.exists())

    def get_short_name(self) -> str:
        """How the shell greets."""
        return self.name or self.email.partition("@")[0]

    def get_full_name(self) -> str:
        """Name, else e-mail."""
        return str(self)

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Whether some backend grants it for the client we act for."""
        return any(backend.has_perm(self, perm, obj) for backend in get_backends() if hasattr(backend, "has_perm"))

    def has_perms(self, perm_list: Iterable[str], obj: Any = None) -> bool:
        """All of them."""
        return all(self.has_perm(perm, obj) for perm in perm_list)

    def has_module_perms(self, app_label: str) -> bool:
        """Whether anything in the app may be seen."""
        return any(b.has_module_perms(self, app_label) for b in get_backends() if hasattr(b, "has_module_perms"))


class Membership(models.Model):
    """A person works for a client in one role, perhaps limited to some brands."""

    audited: ClassVar[bool] = True

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("person"))
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("client"))
    role = models.CharField(_("role"), max_length=20, choices=Role)
    # Ids without a foreign key: this table is read before a client is known, brands lie behind the wall.
    brands = ArrayField(models.BigIntegerField(), verbose_name=_("only these brands"), default=list, blank=True)

    class Meta:
        ordering = ["client", "user"]
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [models.UniqueConstraint(fields=["user", "client"], name="core_membership_user_client_uniq")]

    def __str__(self) -> str:
        return f"{self.user} · {self.client} · {self.get_role_display()}"
