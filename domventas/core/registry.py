"""The one plug-in idiom: a plug-in is a module that holds one object; a registry walks the packages for them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class Registry(dict[str, Entry], Generic[Entry]):
    """Entries of one kind by name, gathered from the modules that are direct children of some packages.

    An entry's name is one of its attributes ("code", "flow", …). Tests and modules that begin with an underscore are
    left alone. A folder counts as one module: its `__init__` holds the entry.
    """

    def __init__(
        self,
        kind: type[Entry],
        packages: str | tuple[str, ...],
        *,
        name_attribute: str = "name",
        missing_ok: bool = False,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.packages = (packages,) if isinstance(packages, str) else packages
        self.name_attribute = name_attribute
        self.missing_ok = missing_ok

    def load(self) -> None:
        """Import every module and take the entries it holds; a second call starts anew.

        Raises:
            ValueError: two modules use one name, or a module holds no entry.
            ModuleNotFoundError: no such package, unless `missing_ok` (an app need not have such a folder).
        """
        found: dict[str, Entry] = {}
        places: dict[str, str] = {}
        for module in self._modules():
            entries = [value for value in vars(module).values() if isinstance(value, self.kind)]
            if not entries:
                raise ValueError(f"{module.__name__} holds no {self.kind.__name__}")
            for entry in entries:
                name = str(getattr(entry, self.name_attribute))
                if name in found and found[name] is not entry:  # a neighbor's entry may be imported to build on
                    raise ValueError(f"{places[name]} and {module.__name__} both define {name!r}")
                found[name] = entry
                places.setdefault(name, module.__name__)
        self.clear()
        self.update((name, found[name]) for name in sorted(found))

    def _modules(self) -> Iterator[ModuleType]:
        for name in self.packages:
            package = self._package(name)
            children = pkgutil.iter_modules(package.__path__) if package else ()
            for child in sorted(child.name for child in children):
                if not child.startswith("_") and child != "tests":
                    yield importlib.import_module(f"{name}.{child}")

    def _package(self, name: str) -> ModuleType | None:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            # Only the folder itself may be missing; a broken import inside it is an error like any other.
            if self.missing_ok and error.name and f"{name}.".startswith(f"{error.name}."):
                return None
            raise
