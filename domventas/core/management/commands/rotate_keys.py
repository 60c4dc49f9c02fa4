"""`manage.py rotate_keys`: moves every secret at rest to the first key of the ring."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from domventas.core import crypto, keys
from domventas.core.errors import DomventasError


class Command(BaseCommand):
    """Moves what is on older keys, in batches; stopped, it goes on where it was. Says when a key may go."""

    help = "Moves every secret at rest to the first key of the ring; --check and --retire only look."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options."""
        parser.add_argument("--batch", type=int, default=keys.BATCH, help="rows moved in one transaction")
        parser.add_argument("--check", action="store_true", help="only say what is left on which key")
        parser.add_argument("--retire", default="", metavar="KEY", help="say whether the key of this id may go")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Move or look. Raises: CommandError: rows are left, so no key may be taken off the ring."""
        try:
            self._work(options)
        except DomventasError as error:
            raise CommandError(f"{error.message} ({error.detail})") from None

    def _work(self, options: dict[str, Any]) -> None:
        if options["retire"]:
            self._retire(options["retire"])
            return
        done = keys.Rotated(left=keys.left()) if options["check"] else self._rotate(options)
        ring = crypto.ring_key_ids()
        if options["json"]:
            told = {"writing": ring[0], "ring": ring, "moved": dict(done.moved), "left": done.left}
            self.stdout.write(json.dumps(told | {"unreadable": {k: n for k, n in done.unreadable.items() if n}}))
        if done.left:
            raise CommandError(f"Keep every key: {_told(done.left)}")
        if not options["json"]:
            self.stdout.write(f"Everything is on {ring[0]}; the other keys may be taken off the ring.")

    def _rotate(self, options: dict[str, Any]) -> keys.Rotated:
        done = keys.rotate(
            batch=max(1, options["batch"]), told=lambda column, moved: self.stderr.write(f"{column}: {moved} moved")
        )
        for column, count in done.unreadable.items():
            if count:
                self.stderr.write(f"{column}: {count} cannot be opened with any key we hold")
        return done

    def _retire(self, key: str) -> None:
        if key == crypto.current_key_id():
            raise CommandError(f"{key} is the key that writes; put a new one before it first.")
        found = {name: by[key] for name, by in keys.held().items() if key in by}
        if found:
            told = ", ".join(f"{count} in {name}" for name, count in found.items())
            raise CommandError(f"{key} may not go: {told}. Run manage.py rotate_keys.")
        self.stdout.write(f"Nothing was made with {key}; it may be taken off the ring.")


def _told(left: dict[str, dict[str, int]]) -> str:
    return "; ".join(
        f"{name}: " + ", ".join(f"{count} on {key}" for key, count in by.items()) for name, by in left.items()
    )
