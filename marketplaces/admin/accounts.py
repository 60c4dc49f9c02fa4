"""Accounts and sites."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _

from domventas.core.admin import FactsAdmin, FactsInline, HouseAdmin
from domventas.core.links import to_list
from domventas.core.signin.sure import SureAdmin
from marketplaces.forms import EXPIRY, AccountForm, secret_fields
from marketplaces.models import Account, Site, Stream
from marketplaces.services import accounts, schedule


class StreamInline(FactsInline):
    """What is read of an account, and how far."""

    model = Stream
    fields = ("flow", "is_paused", "complete_until", "last_success_at", "failures", "last_error")
    readonly_fields = fields
    ordering = ("flow",)


@admin.register(Account)
class AccountAdmin(SureAdmin, HouseAdmin):
    """Accounts with their sites and secrets; secrets are entered, never shown."""

    form = AccountForm
    list_display = ("name", "channel", "external_id", "environment", "status", "status_note", "streams_link")
    list_filter = ("channel", "environment", "status")
    search_fields = ("name", "code", "external_id")
    readonly_fields = ("status", "status_note")
    inlines = (StreamInline,)
    actions = ("test_connection", "run_now", "pause", "resume")

    def needs_to_be_sure(self, request: HttpRequest) -> bool:
        """Whoever could enter secrets here."""
        return self._may_set_secrets(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Account | None = None) -> Any:
        """What an account is cannot change once facts were read through it."""
        fixed = ("code", "channel", "external_id", "environment") if obj else ()
        return (*fixed, *super().get_readonly_fields(request, obj))

    def get_form(self, request: HttpRequest, obj: Account | None = None, change: bool = False, **kwargs: Any) -> Any:
        """With the secrets of the account's marketplace; of all of them while none is chosen."""
        if self._may_set_secrets(request):
            kwargs["form"] = type("SecretAccountForm", (AccountForm,), secret_fields(obj.channel if obj else ""))
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Account | None = None) -> Any:
        """The account, its sites, its secrets."""
        secrets = tuple(secret_fields(obj.channel if obj else "")) if self._may_set_secrets(request) else ()
        return (
            (None, {"fields": ("name", "code", "channel", "external_id", "environment", "cutover_on")}),
            (_("Sites"), {"fields": ("sites",)}),
            (_("Secrets"), {"fields": secrets, "description": _("Stored encrypted; nobody can read them here.")}),
            (_("State"), {"fields": ("status", "status_note")}),
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """An account without secrets is of no use, so who may not set them makes none."""
        return super().has_add_permission(request) and self._may_set_secrets(request)

    def has_delete_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        """Orders and money hang on an account: it is paused, not deleted."""
        return False

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        """Through the services, which tell the apps above."""
        given, now = form.cleaned_data, clock()
        codes = [site.code for site in given["sites"]]
        secrets, last_day = form.secrets(obj.channel, given), given.get(EXPIRY)
        if change:
            accounts.change_account(obj, sites=codes, secrets=secrets, now=now, expires_on=last_day)
            if EXPIRY in form.fields and not secrets:
                accounts.set_expiry(obj, last_day)
            return
        made = accounts.create_account(
            channel=obj.channel, code=obj.code, name=obj.name, external_id=obj.external_id, sites=codes,
            secrets=secrets, environment=obj.environment, cutover_on=obj.cutover_on, now=now,
            expires_on=last_day,
        )  # fmt: skip
        obj.pk, obj.client_id, obj._state.adding = made.pk, made.client_id, False

    @admin.display(description=_("streams"))
    def streams_link(self, account: Account) -> str:
        """Its streams."""
        return to_list(Stream, _("streams"), account__id__exact=account.pk)

    @admin.action(description=_("Test the connection"), permissions=["change"])
    def test_connection(self, request: HttpRequest, queryset: QuerySet[Account]) -> None:
        """Sign in and say what was found."""
        for account in queryset:
            checked = accounts.test_connection(account, now=clock())
            level = messages.SUCCESS if checked.ok else messages.ERROR
            messages.add_message(request, level, f"{account}: {checked.message}")

    @admin.action(description=_("Read all flows now"), permissions=["change"])
    def run_now(self, request: HttpRequest, queryset: QuerySet[Account]) -> None:
        """Ask for one reading of each stream."""
        streams = Stream.objects.filter(account__in=queryset, is_paused=False).select_related("account")
        runs = [schedule.run_now(stream, now=clock()) for stream in streams]
        messages.success(request, _("%(count)d readings asked for.") % {"count": len(runs)})

    @admin.action(description=_("Pause"), permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Account]) -> None:
        """Read nothing of these accounts."""
        for account in queryset:
            accounts.pause(account, why=str(_("Paused by %(who)s") % {"who": request.user.get_username()}))

    @admin.action(description=_("Resume"), permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Account]) -> None:
        """Read these accounts again."""
        for account in queryset:
            accounts.resume(account)

    def _may_set_secrets(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("marketplaces.change_credential"))


@admin.register(Site)
class SiteAdmin(FactsAdmin):
    """The sites that connectors ship."""

    list_display = ("code", "label", "channel", "country", "currency", "zone", "external_id")
    list_filter = ("channel", "country")
    search_fields = ("code", "label", "external_id")
