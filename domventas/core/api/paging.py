"""Pages by cursor."""

from __future__ import annotations

from typing import Any

from rest_framework import exceptions
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request


class Pages(CursorPagination):
    """Pages that neither skip nor repeat a row when others come in between: by cursor, never by number."""

    ordering = "pk"
    page_size = 100
    max_page_size = 500
    page_size_query_param = "limit"

    def get_page_size(self, request: Request) -> int:
        """As asked for. Raises: ValidationError: no number from 1 to 500."""
        asked = request.query_params.get(self.page_size_query_param, str(self.page_size))
        if not (asked.isascii() and asked.isdigit() and 1 <= int(asked[:4]) <= self.max_page_size and len(asked) < 4):
            raise exceptions.ValidationError({"limit": [f"A number from 1 to {self.max_page_size}."]})
        return int(asked)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """With the bounds that hold."""
        described = super().get_schema_operation_parameters(view)
        for one in described:
            if one["name"] == self.page_size_query_param:
                one["schema"] |= {"minimum": 1, "maximum": self.max_page_size, "default": self.page_size}
        return described

    def decode_cursor(self, request: Request) -> Any:
        """A cursor nobody gave out is the caller's mistake, not a page that is missing."""
        try:
            return super().decode_cursor(request)
        except exceptions.NotFound:
            raise exceptions.ValidationError({"cursor": ["This is no cursor of ours."]}) from None
