"""What the OpenAPI description says of every operation beside its own answer: errors, keys, limits."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.extensions import OpenApiAuthenticationExtension

PROBLEM: Final = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                "required": ["field", "message"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "request_id"],
}
ERRORS: Final = {
    "400": "A parameter or field is not as it must be.",
    "401": "No good token.",
    "403": "The token has not this scope.",
    "404": "There is no such thing, or none of this client.",
    "405": "The method is not offered here.",
    "406": "Only JSON is spoken.",
    "409": "Somebody else is at it, or the token belongs to another client.",
    "412": "It has changed since it was read (If-Match).",
    "413": "The body is too long.",
    "415": "The body is not JSON.",
    "422": "The rules of the house forbid it.",
    "429": "Too many requests; see Retry-After.",
}
KEY: Final = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "description": "The same key again is answered alike and done once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}  # fmt: skip
_WRITES: Final = ("post", "put", "patch", "delete")


def _bound(parameter: dict[str, Any]) -> None:
    """Words to filter by are never empty (leave the parameter out) and hold no NUL."""
    schema = parameter.get("schema", {})
    if parameter["in"] == "query" and schema.get("type") == "string" and not {"enum", "format"} & schema.keys():
        schema |= {"minLength": 1, "pattern": "^[^\\u0000]+$"}


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library's own way to register
    """How the description speaks of tokens."""

    target_class = "domventas.core.api.machines.ByToken"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """A bearer token."""
        return {"type": "http", "scheme": "bearer"}


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Add to every operation what the door does for all of them; called by drf-spectacular at its end."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    for name, schema in result["components"]["schemas"].items():
        if name.endswith("Request"):
            schema["additionalProperties"] = False
    reference = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for methods in result.get("paths", {}).values():
        for method, operation in methods.items():
            for status, text in ERRORS.items():
                operation["responses"].setdefault(status, {"description": text, "content": reference})
            for parameter in operation.get("parameters", []):
                _bound(parameter)
            if method in _WRITES:
                operation.setdefault("parameters", []).append(KEY)
    return result
