"""Words that may stand nowhere in plain: planted by the fixtures, looked for during and after every test.

The secrets of the tests' accounts, the passwords of its people and every API token are such words. The suite fails if
one stands in a table, a log line, Valkey, a dump, an answer of the application (domventas.tests.answers) or in what a
command prints.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import subprocess
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

import psycopg
import redis

from domventas.core import crypto
from domventas.core.crypto import Unreadable
from domventas.ops.backup import programs
from domventas.tests.answers import Answers

#: The key of every account at the toy marketplace.
TOY_KEY: Final = "cnry-toy-key-5f2c81d09b7e"
#: Never to be read in plain: what the fixtures enter, how the sandbox's own tokens begin, what makes a second factor.
SECRETS: Final = (
    "cnry-", "sandbox-secret", "sandbox-bunnings-key", "Atzr|sandbox", "Atza|", "long password", "otpauth:",
)  # fmt: skip
#: How our own API tokens are spelled (core.api.tokens); their hash is kept, never they.
TOKEN: Final = "dv_[a-z0-9]{12}_[A-Za-z0-9_-]{43}"
#: Looking into the tables may take so long in one process [s]; enough for some hundred tests.
BUDGET: Final = 4.0

_FILLED: Final = """
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
  AND pg_relation_size(c.oid) > 0
"""
#: What is sealed spells every word by chance now and then, and tells none.
_HOLDS: Final = """
SELECT '{0}' WHERE EXISTS (SELECT FROM "{0}" t WHERE t::text LIKE ANY (%(words)s)
                           AND regexp_replace(t::text, %(sealed)s, '', 'g') LIKE ANY (%(words)s))
"""
_SEALED: Final = re.compile(rb"[0-9a-f]{8}:gAAAA[A-Za-z0-9_=-]+")
_TELLING: Final = re.compile("|".join([*map(re.escape, SECRETS), TOKEN]))
_LIKE_TOKEN: Final = rf"%dv\_{'_' * 12}\_{'_' * 43}%"
_HAS_SECRETS: Final = "SELECT EXISTS (SELECT FROM marketplaces_credential)"
_BYTES: Final = re.compile(rb"\\\\?\\x([0-9a-f]+)")


class Watch(logging.Handler):
    """Reads every log line and answer of a test process, and the tables, a dump and Valkey when it is asked to."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.spent = 0.0
        self.found: list[str] = []
        self.answers = Answers(SECRETS, TOKEN, self.found)
        self.is_dumped = False

    def emit(self, record: logging.LogRecord) -> None:
        """Note a line that tells a secret; the line itself is not repeated."""
        try:
            text = self.format(record)
        except Exception:  # a line that cannot be written tells nothing
            return
        if _TELLING.search(text):
            where = f"{record.name}, {record.filename}:{record.lineno}"
            self.found.append(f"a log line of {where} during {os.environ.get('PYTEST_CURRENT_TEST', 'the run')}")

    def tables(self) -> list[str]:
        """Tables of the test's database that hold a secret in plain, as text or as bytes."""
        if self.spent > BUDGET:
            return []
        start = time.monotonic()
        words = [f"%{form}%" for word in SECRETS for form in (word.replace("_", r"\_"), word.encode().hex())]
        words.append(_LIKE_TOKEN)
        with psycopg.connect(os.environ["DATABASE_OPS_URL"], autocommit=True) as ops:
            filled = [name for (name,) in ops.execute(_FILLED).fetchall()]
            query = " UNION ALL ".join(_HOLDS.format(name) for name in filled)
            asked = {"words": words, "sealed": _SEALED.pattern.decode()}
            found = [str(name) for (name,) in ops.execute(query.encode(), asked).fetchall()]
            if not self.is_dumped and (ops.execute(_HAS_SECRETS).fetchone() or [False])[0]:
                self.is_dumped = True  # once, of a database with secrets in it: a dump takes its time
                words = [TOY_KEY, *(word for word in SECRETS if len(word) > 10)]  # in base64 shorter ones are chance
                found += [f"a dump (a word like {word[:4]}…)" for word in counted(dumped(), words)]
        self.spent += time.monotonic() - start
        return found

    def valkey(self) -> list[str]:
        """Keys of this installation's Valkey that hold a secret."""
        return [name for name, value in valkey() if _TELLING.search(value.decode("utf-8", "replace"))]


def valkey() -> Iterator[tuple[str, bytes]]:
    """Every key of Valkey with all it holds, names included; nothing where there is none."""
    url = os.environ.get("REDIS_URL")
    if not url:
        return
    client: Any = redis.Redis.from_url(url)
    read = {
        b"string": lambda key: client.get(key),
        b"hash": lambda key: client.hgetall(key),
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": lambda key: client.smembers(key),
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": lambda key: client.xrange(key),
    }
    for key in client.scan_iter(count=1000):
        value = read.get(client.type(key), lambda _key: b"")(key)
        yield key.decode("utf-8", "replace"), repr((key, value)).encode()
    client.close()


# ── a whole database, turned inside out ─────────────────────────────────────────────────────────────────────────────
def dumped() -> bytes:
    """Everything of every client, as the role that makes the backups gets it."""
    folder, environment = programs()
    program = str(folder / "pg_dump") if folder else "pg_dump"
    command = [program, "--format=plain", "--no-owner", f"--dbname={os.environ['DATABASE_OPS_URL']}"]
    return subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment}).stdout


def counted(dump: bytes, words: Iterable[str]) -> dict[str, int]:
    """How often each word stands in the dump in plain: as text, in bytes, packed, in base64; none = not named."""
    hay = b"\n".join([dump, *_bytes_in(dump)]).decode("utf-8", "replace").casefold()
    found = {}
    for word in words:
        count = sum(hay.count(form) for form in _forms(word))
        if count:
            found[word] = count
    return found


def opened(dump: bytes, clients: Iterable[int]) -> bytes:
    """Everything in the dump that the key ring opens, unpacked."""
    parts, clients = [], list(clients)
    tokens = {token for part in (dump, *_bytes_in(dump)) for token in _SEALED.findall(part)}
    for token in tokens:
        for client in clients:
            try:
                body = crypto.decrypt(token.decode(), client=client)
            except Unreadable:
                continue
            parts.append(_unpacked(body))
    return b"\n".join(parts)


def _bytes_in(dump: bytes) -> Iterator[bytes]:
    """The byte columns, which a dump writes in hex."""
    for found in _BYTES.findall(dump):
        if len(found) % 2 == 0:
            yield _unpacked(bytes.fromhex(found.decode()))


def _unpacked(body: bytes) -> bytes:
    try:
        return zlib.decompress(body)
    except zlib.error:
        return body


def _forms(word: str) -> set[str]:
    """The word as text, as JSON escapes it, and within base64 at each of its three places."""
    plain = word.encode()
    forms = {word.casefold(), json.dumps(word)[1:-1].casefold(), json.dumps(word.casefold())[1:-1]}
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + plain).decode()
        inner = coded[(0, 2, 3)[shift] : len(coded) - (4 if (shift + len(plain)) % 3 else 0)]
        forms.add(inner.casefold())
    return forms
