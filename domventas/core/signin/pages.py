"""The pages of signing in beyond the password: second factor, its first set-up, and the password once more."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from domventas.core.signin import factor, pace, session


class CodeForm(forms.Form):
    """Six digits of the app, or a recovery code."""

    code = forms.CharField(
        label=_("Code"), max_length=32,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "text", "autofocus": True}),
    )  # fmt: skip


class PasswordForm(forms.Form):
    """The password once more."""

    password = forms.CharField(
        label=_("Password"), max_length=256, strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )  # fmt: skip


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def second(request: HttpRequest) -> HttpResponse:
    """Ask for a code."""
    user: Any = request.user
    form = CodeForm(request.POST or None)
    if form.is_valid():
        if not pace.may_try(f"code:{user.pk}"):
            form.add_error("code", _("Too many tries. Wait a minute."))
        elif factor.confirmed(user) and factor.accept(user, form.cleaned_data["code"], now=clock()):
            session.pass_second(request)
            return HttpResponseRedirect(onward(request))
        else:
            form.add_error("code", _("This code is not right, or was used already."))
    told = _("Open the app on your phone and enter the code it shows. A recovery code will do, too.")
    return _page(request, form, _("Second factor"), told)


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def enroll(request: HttpRequest) -> HttpResponse:
    """Set the second factor up: picture, first code, recovery codes."""
    user: Any = request.user
    if factor.confirmed(user) is not None:
        return HttpResponseRedirect(onward(request))
    form = CodeForm(request.POST or None)
    if form.is_valid():
        may = pace.may_try(f"code:{user.pk}")
        codes = factor.confirm(user, form.cleaned_data["code"], now=clock()) if may else None
        if codes:
            session.pass_second(request)
            return render(request, "signin/codes.html", {"codes": codes, "next": onward(request)})
        form.add_error("code", _("This code is not right. Is the clock of the phone?"))
    made = factor.begin(user)
    told = _("Scan this with an authenticator app, then enter the code it shows.")
    shown = {"picture": factor.picture(made), "key": factor.spelled(made)}
    return _page(request, form, _("Set up the second factor"), told, **shown)


@never_cache
@sensitive_post_parameters("password")
@login_required
@require_http_methods(["GET", "POST"])
def again(request: HttpRequest) -> HttpResponse:
    """Ask for the password once more before something delicate."""
    user: Any = request.user
    form = PasswordForm(request.POST or None)
    if form.is_valid():
        if not pace.may_try(f"again:{user.pk}"):
            form.add_error("password", _("Too many tries. Wait a minute."))
        elif authenticate(request, username=user.email, password=form.cleaned_data["password"]) == user:
            session.make_sure(request)
            return HttpResponseRedirect(onward(request))
        else:
            form.add_error("password", _("This is not your password."))
    told = _("What comes next touches secrets or rights, so show once more that it is you.")
    return _page(request, form, _("Your password, please"), told)


def onward(request: HttpRequest) -> str:
    """Where the person wanted to go: an address of ours, else the first page."""
    wish = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(wish, allowed_hosts={request.get_host()}, require_https=settings.TLS)
    return wish if safe else "/"


def _page(request: HttpRequest, form: forms.Form, title: Any, told: Any, **more: str) -> HttpResponse:
    shown = {"form": form, "title": title, "told": told, "next": onward(request), **more}
    return render(request, "signin/ask.html", shown, status=422 if form.errors else 200)
