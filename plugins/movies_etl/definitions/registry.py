"""Every declared index, found by looking: a new one needs no entry anywhere."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from movies_etl import definitions
from movies_etl.definitions.definition import IndexDefinition


@cache
def declared() -> dict[str, IndexDefinition]:
    """Return the definitions that the modules of this room declare, by the index's name."""
    found = {}
    for module in iter_modules(definitions.__path__):
        for value in vars(import_module(f"{definitions.__name__}.{module.name}")).values():
            if isinstance(value, IndexDefinition):
                found[value.name] = value
    return found
