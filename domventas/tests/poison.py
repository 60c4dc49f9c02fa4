"""Attacks for every text a table can hold, whatever its kind and length, and the eyes that see one that has worked."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from itertools import count
from typing import Any, Final

from django.contrib.postgres.fields import ArrayField
from django.db import DatabaseError, connection, models, transaction

from domventas.core import tenancy
from domventas.core.fields import EncryptedJSONField, EncryptedTextField
from domventas.core.models import ApiToken, Client, Membership, User
from domventas.core.roles import Role
from domventas.tests.filler import SHOWN, make
from domventas.tests.walk import label, writable
from finance.models import ReferenceRate
from marketplaces.models import Account, Site

MARK: Final = "xss7"
RUN: Final = f"window.{MARK}=1"
PAYLOADS: Final = (
    f"<script>{RUN}</script>",
    f'"><img src=x onerror={RUN}>',
    f"'><svg onload={RUN}>",
    f"</script><script>{RUN}</script>",
    f"javascript:{RUN}",
    f"{{{{constructor.constructor('{RUN}')()}}}}",
    f"<iframe srcdoc='<script>parent.{MARK}=1</script>'>",
    f"<a href=javascript:{RUN}>x</a>",
    f"</title><script>{RUN}</script>",
    f"</textarea><script>{RUN}</script>",
    f"<details open ontoggle={RUN}>",
    f"x' onmouseover='{RUN}",
    f'x" autofocus onfocus="{RUN}',
    f"<math><mtext></form><form><mglyph><style></math><img src onerror={RUN}>",
    f"${{{RUN}}}",
    f"<body onload={RUN}>",
    f"<input onfocus={RUN} autofocus>",
    f"<x x-data x-init='{RUN}'>",
    f"<div hx-get=/ hx-on:load='{RUN}'>",
    f"--><script>{RUN}</script><!--",
    f"]]><script>{RUN}</script>",
    "<base href=//evil.example/><script src=x.js></script>",
    f"<meta http-equiv=refresh content='0;url=javascript:{RUN}'>",
    f"<object data=javascript:{RUN}>",
    f"\uff1cscript\uff1e{RUN}\uff1c/script\uff1e",
)
#: For short columns: what they make of a page is an element or an attribute nobody else would.
SHORT: Final = (
    f'"><svg onload={MARK}=1>', f"'><svg onload={MARK}=1>", f"<svg onload={MARK}=1>", f'" onclick={MARK}=1 x="',
    f"\"'><{MARK}>", f"</a><{MARK}>", f"<{MARK}>", "\"'><x7>", "'><x7>", '"><x7>', "<x7>", "<q>", "\"'", "'\"",
    "<", '"',
)  # fmt: skip
#: The elements they make. A page of ours that wants one of its own has to choose another.
MADE: Final = frozenset({MARK, "x7", "q", "mglyph", "mtext"})
#: Attributes that run what they hold, and those that lead somewhere.
_RUNNING: Final = ("on", "x-", "hx-on", ":", "@")
_LEADING: Final = ("href", "src", "action", "formaction", "data", "content")
_AWAY: Final = re.compile(r"^(javascript:|//evil\.example|x\.js$)|^0;url=javascript:")

Text = Callable[[int], str]
SHARED: Final = (User, ApiToken, Site, ReferenceRate)
#: JSON that pages read by its form: the attack stands in its values.
SHAPES: Final[dict[str, Callable[[str, str], Any]]] = {
    "Erasure.kept": lambda one, two: [{"order": one, "until": two, "reason": one}],
    "Finding.amounts": lambda one, two: {one[:3]: two, two[:3]: "1.5"},
    "StartingPosition.amounts": lambda one, two: {one[:3]: two, two[:3]: "1.5"},
    "Ticket.amounts": lambda one, two: {one[:3]: two, two[:3]: "1.5"},
}


class Runs(HTMLParser):
    """Reads a page as a browser does and collects what of the attacks would run, or has become part of the page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kinds = dict(attrs)
        self._in_script = tag == "script" and kinds.get("type", "") not in ("application/json", "text/plain")
        if tag in MADE:
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            told = (value or "").strip().lower()
            active = name.startswith(_RUNNING) or name == "srcdoc"
            leads = name in _LEADING and _AWAY.search(told)
            if (active and MARK in told) or leads or MARK in name or set(name) & set("'\"<"):
                self.found.append(f"<{tag} {name}={value}>")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script and MARK in data:
            self.found.append(f"<script>{data[:120]}")


def runs(page: str) -> list[str]:
    """What of the attacks would run on a page, or has changed it."""
    reader = Runs()
    reader.feed(page)
    return reader.found


#: The same as `Runs`, in a browser: elements and attributes that only an attack can have made.
SCARS: Final = f"""() => [...document.querySelectorAll('*')].flatMap(one => [
    ...({json.dumps(sorted(MADE))}.includes(one.localName) ? [one.localName] : []),
    ...(one.localName === 'script' && !['application/json', 'text/plain'].includes(one.type)
        && one.text.includes('{MARK}') ? ['script'] : []),
    ...[...one.attributes].filter(({{name, value}}) =>
        name.includes('{MARK}') || /['"<]/.test(name)
        || (/^(on|x-|hx-on|:|@|srcdoc$)/.test(name) && value.includes('{MARK}'))
        || (/^(href|src|action|formaction|data|content)$/.test(name)
            && new RegExp({json.dumps(_AWAY.pattern)}, 'i').test(value.trim()))
    ).map(({{name, value}}) => `${{one.localName}} ${{name}}=${{value}}`),
])"""


def attacks(start: int = 0) -> Text:
    """One attack after the other, each made to fit the length that is asked for."""
    numbers = count(start)

    def text(length: int) -> str:
        known = PAYLOADS if length > 70 else (*PAYLOADS, *SHORT)
        fitting = [one for one in known if length // 2 < len(one) <= length] if length <= 70 else known
        return fitting[next(numbers) % len(fitting)]

    return text


def cut(texts: Sequence[str]) -> Text:
    """One text after the other, cut where a column ends."""
    numbers = count()
    return lambda length: texts[next(numbers) % len(texts)][:length]


def poisoned(
    model: type[models.Model], text: Text, rows: dict[Any, Any] | None = None, *, choices: bool = False,
    refused: dict[str, str] | None = None,
) -> Any:  # fmt: skip
    """A row with an attack in every text that the database lets it hold.

    Args:
        rows: rows it shall point at, by their model; others are made.
        choices: fill columns of a closed choice, too; such a row is found in few lists.
        refused: takes in the columns that keep a plain value, with the constraint that wants it so.
    """
    given = {field.name: _hostile(field, text) for field in model._meta.concrete_fields if _takes(field, choices)}
    for field in model._meta.concrete_fields if rows else ():
        if field.is_relation and field.related_model in rows:
            given[field.name] = rows[field.related_model]
        elif field.name == "account_id" and Account in rows:
            given[field.name] = rows[Account].pk
    while True:
        try:
            with transaction.atomic():
                return make(model, **given)
        except DatabaseError as error:
            wrong = _refusing(model, error) & given.keys() or {name for name in given if f'"{name}"' in str(error)}
            if not wrong:
                raise
            for name in wrong:
                del given[name]
                if refused is not None:
                    refused[f"{label(model)}.{name}"] = _constraint(error) or str(error).partition("\n")[0]


def house(start: int = 0, *, choices: bool = False, rows: dict[Any, Any] | None = None) -> dict[Any, Any]:
    """A poisoned row of every table, each pointing at the others, by model; `rows` are there already."""
    rows = rows if rows is not None else {}
    ours, numbers = writable(), count(start)
    _shared(rows, attacks(start))

    def fill(model: Any, under: tuple[Any, ...]) -> None:
        for field in model._meta.concrete_fields:
            parent = field.related_model if field.is_relation else None
            if parent in ours and parent not in rows and parent not in under and parent is not model:
                fill(parent, (*under, model))
        rows[model] = poisoned(model, attacks(next(numbers)), rows, choices=choices)

    for model in sorted(ours, key=label):
        if model not in rows:
            fill(model, ())
    return rows


def _shared(rows: dict[Any, Any], text: Text) -> None:
    """The tables of all clients that people of one client see: its name, people, tokens, marketplaces' sites, rates."""
    client = Client.objects.get(pk=tenancy.current().one)
    Client.objects.filter(pk=client.pk).update(name=text(100))
    for model in SHARED:
        rows[model] = poisoned(model, text, {Client: client})
    Membership.objects.create(user=rows[User], client=client, role=Role.ADMIN)


def texts(model: type[models.Model]) -> set[str]:
    """The columns that can hold a text."""
    return {field.name for field in model._meta.concrete_fields if _takes(field, True)}


def _takes(field: Any, choices: bool) -> bool:
    kinds = (models.CharField, models.TextField, models.JSONField, models.BinaryField, ArrayField)
    if field.primary_key or field.is_relation or not isinstance(field, kinds):
        return False
    if isinstance(field, ArrayField) and not isinstance(field.base_field, kinds):
        return False
    return choices or not field.choices


def _hostile(field: Any, text: Text) -> Any:
    """An attack as this column stores it."""
    length = field.max_length or 999
    name = f"{field.model.__name__}.{field.name}"
    if name in SHAPES:
        return SHAPES[name](text(length), text(length))
    if isinstance(field, EncryptedJSONField):
        if name in SHOWN:
            return {text(length): text(length), "name": text(length)}
        return {"secret": f"cnry-{text(length)}", f"cnry-{text(length)}": [f"cnry-{text(length)}"]}
    if isinstance(field, EncryptedTextField):
        return f"cnry-{text(length)}"
    if isinstance(field, ArrayField):
        return [text(field.base_field.max_length or 999)]
    if isinstance(field, models.JSONField):
        nested = {text(length): [text(length), {text(length): text(length)}], "name": text(length)}
        return [text(length), nested] if field.default is list else nested
    if isinstance(field, models.BinaryField):
        return zlib.compress(json.dumps({text(length): [text(length)]}).encode())
    return text(length)


def _constraint(error: DatabaseError) -> str:
    told = getattr(error.__cause__, "diag", None)
    return str(told.constraint_name or "") if told else ""


_COLUMNS: Final = """
SELECT a.attname FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
WHERE c.conname = %(name)s
UNION SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indexrelid = to_regclass(quote_ident(%(name)s))
"""


def _refusing(model: type[models.Model], error: DatabaseError) -> set[str]:
    """The columns of the constraint that refused a row."""
    with connection.cursor() as cursor:
        cursor.execute(_COLUMNS, {"name": _constraint(error)})
        columns = {name for (name,) in cursor.fetchall()}
    return {field.name for field in model._meta.concrete_fields if field.column in columns}
