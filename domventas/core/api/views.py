"""What the views of all apps share: rows to read, their versions, and amounts as machines read them."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

from django.http import HttpRequest
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from domventas.core.api.problems import Stale


class Input(serializers.Serializer[Any]):
    """What a machine sends; a field nobody reads is refused, as it was meant to do something."""

    def to_internal_value(self, data: Any) -> Any:
        """The fields read. Raises: ValidationError: others are among them, too."""
        if isinstance(data, dict) and (wrong := sorted(set(map(str, data)) - set(self.fields))):
            raise serializers.ValidationError({name: ["There is no such field."] for name in wrong[:20]})
        return super().to_internal_value(data)


@extend_schema_field(
    {
        "type": ["object", "null"],
        "properties": {
            "amount": {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"},
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
        },
        "required": ["amount", "currency"],
        "readOnly": True,
    }
)
class AmountField(serializers.Field):  # type: ignore[type-arg]  # reads a row, gives an object
    """An amount with its currency, as text so that no reader makes a float of it; null when it is not known."""

    def __init__(self, amount: str, currency: str = "currency", **options: Any) -> None:
        self.amount, self.currency = amount, currency
        super().__init__(source="*", read_only=True, **options)

    def to_representation(self, value: Any) -> dict[str, str] | None:
        """{"amount": "12.30", "currency": "EUR"}"""
        for part in (first := self.amount.split("."))[:-1]:
            value = getattr(value, part)
        amount = getattr(value, first[-1])
        code = value
        for part in self.currency.split("."):
            code = getattr(code, part)
        return None if amount is None else {"amount": f"{amount:f}", "currency": str(code)}


class Strict:
    """Refuses parameters nobody reads: a misspelled filter would answer with everything."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """After the token and its scope, before the view."""
        super().initial(request, *args, **kwargs)  # type: ignore[misc]  # of the view it is mixed into
        known = self.parameters()
        wrong = {name: ["There is no such parameter."] for name in request.query_params if name not in known}
        twice = {name: ["Given more than once."] for name, values in request.query_params.lists() if len(values) > 1}
        empty = {name: ["Empty; leave it out."] for name, value in request.query_params.items() if not value}
        if wrong or twice or empty:
            raise serializers.ValidationError(wrong | twice | empty)

    def parameters(self) -> set[str]:
        """What may stand in the address."""
        return set()


class Facts(Strict, viewsets.ReadOnlyModelViewSet):  # type: ignore[type-arg]  # of any model
    """Rows to read, one by one or in pages. `area` says which scopes open it."""

    area: ClassVar[str] = ""
    version_field: ClassVar[str] = ""
    """Column that changes with the row; then answers carry an ETag and `If-Match` is obeyed."""

    def parameters(self) -> set[str]:
        """A list's filters and pages; one row has none."""
        if self.action != "list":
            return set()
        chosen = getattr(self, "filterset_class", None)
        filters = set(chosen.base_filters) if chosen else set(getattr(self, "filterset_fields", ()))
        return filters | {"cursor", "limit"}

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One row."""
        row = self.get_object()
        response = Response(self.get_serializer(row).data)
        if self.version_field:
            response["ETag"] = self.version(row)
        return response

    def version(self, row: Any) -> str:
        """The row's version as an ETag."""
        told = f"{row.pk}:{getattr(row, self.version_field)}"
        return f'"{hashlib.sha256(told.encode()).hexdigest()[:20]}"'

    def fresh(self, request: HttpRequest | Request) -> Any:
        """The row to be changed. Raises: Stale: the caller has seen an older one (If-Match)."""
        row = self.get_object()
        wanted = request.headers.get("If-Match")
        if wanted and self.version_field and wanted not in ("*", self.version(row)):
            raise Stale
        return row
