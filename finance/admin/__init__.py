"""Staff's view of finance: facts to read, our own rules, costs and rates to keep.

Every module beside this one registers the tables it is named after.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
