"""Django's permission questions, answered from the membership in the client we act for."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth.backends import ModelBackend

from domventas.core import roles, tenancy
from domventas.core.models import Membership


class MembershipBackend(ModelBackend):
    """Sign-in by e-mail and password; rights by role (see core.roles). Knows no groups and no superuser."""

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """`app.verb_model`, as Django spells it."""
        if not user_obj.is_active:  # the login page asks about an anonymous person too
            return False
        app, _, codename = perm.partition(".")
        verb, _, model = codename.partition("_")
        label = f"{app}.{model}"
        role = self._role(user_obj)
        if role is not None and roles.may(role, verb, label):
            return not _is_beyond_brands(label)
        return bool(user_obj.is_operator) and roles.operator_may(verb, label)

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Whether anything of the app may be seen."""
        if not user_obj.is_active:
            return False
        labels = [app_label, *(model for model in roles.MODELS if model.startswith(f"{app_label}."))]
        role = self._role(user_obj)
        if role is not None and any(roles.may(role, "view", label) for label in labels):
            return True
        return bool(user_obj.is_operator) and any(roles.operator_may("view", label) for label in labels)

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Nothing is listed: rights are asked one by one."""
        return set()

    def _role(self, user: Any) -> str | None:
        acting = tenancy.current_or_none()
        if acting is None or len(acting.clients) != 1:
            return None
        # One question per request and client; the person object lives as long as the request.
        known: dict[int, str | None] = user.__dict__.setdefault("_roles", {})
        if acting.one not in known:
            memberships = Membership.objects.filter(user=user, client=acting.one)
            known[acting.one] = memberships.values_list("role", flat=True).first()
        return known[acting.one]


def _is_beyond_brands(label: str) -> bool:
    """Whether the acting member is limited to brands and this money cannot be told apart by brand."""
    acting = tenancy.current_or_none()
    if acting is None or not acting.brands or roles.area_of(label) not in roles.MONEY:
        return False
    app, _, name = label.partition(".")
    model: Any = apps.all_models.get(app, {}).get(name)
    return not getattr(model, "brand_path", "")
