"""Amazon's own sandbox cases, taken from its public API descriptions in the folder that API_SPECS_DIR names."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

_VERBS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Case:
    """One request Amazon describes and the answer it promises."""

    file: str
    verb: str
    path: str
    status: int
    number: int
    parameters: dict[str, Any]
    answer: Any
    schema: dict[str, Any] | None
    described: tuple[tuple[str, str], ...]
    """Name and place (`query`, `path`, `header`, `body`) of every parameter the description knows."""

    def __str__(self) -> str:
        return f"{self.file} {self.verb.upper()} {self.path} {self.status} #{self.number}"

    @property
    def body(self) -> Any:
        """What is sent as JSON; None where nothing is."""
        return self.parameters.get("body", {}).get("value")

    @property
    def query(self) -> dict[str, str]:
        """Parameters of the query, lists joined by commas."""
        places = dict(self.described)
        return {
            name: _plain(given["value"])
            for name, given in self.parameters.items()
            if places.get(name) == "query" and "value" in given
        }

    @property
    def address(self) -> str:
        """The path with its parameters filled in; those the case leaves open get a name of ours."""
        path = self.path
        for name, place in self.described:
            if place == "path":
                value = self.parameters.get(name, {}).get("value", f"any-{name}")
                path = path.replace("{" + name + "}", _plain(value))
        return path

    def is_valid(self) -> bool:
        """Whether the answer keeps to Amazon's own schema; some of its examples do not."""
        if self.schema is None:
            return True
        try:
            jsonschema.validate(self.answer, self.schema)
        except jsonschema.ValidationError:
            return False
        return True


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_plain, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def folder() -> Path | None:
    """Where the descriptions are; None when nobody said so."""
    named = os.environ.get("API_SPECS_DIR")
    return Path(named) / "amazon" / "models" if named else None


@cache
def described(file: str) -> dict[str, Any]:
    """One API description."""
    where = folder()
    assert where is not None
    return json.loads((where / file).read_text(encoding="utf-8"))


@cache
def all_cases() -> tuple[Case, ...]:
    """Every static case of every description; empty without the folder."""
    where = folder()
    if where is None:
        return ()
    return tuple(case for path in sorted(where.glob("*.json")) for case in _cases(path.name))


def _cases(file: str) -> Iterator[Case]:
    model = described(file)
    for path, operations in model["paths"].items():
        shared = operations.get("parameters", [])
        for verb in _VERBS:
            operation = operations.get(verb)
            if not operation:
                continue
            named = [_parameter(model, x) for x in (*shared, *operation.get("parameters", []))]
            places = tuple((x["name"], x["in"]) for x in named)
            for code, response in operation["responses"].items():
                static = response.get("x-amzn-api-sandbox", {}).get("static", [])
                schema = response.get("schema")
                full = {**schema, "definitions": model["definitions"]} if schema else None
                for number, case in enumerate(static):
                    parameters = case.get("request", {}).get("parameters", {})
                    answer = case.get("response")
                    yield Case(file, verb, path, int(code), number, parameters, answer, full, places)


def _parameter(model: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    return model["parameters"][found["$ref"].rsplit("/", 1)[1]] if "$ref" in found else found
