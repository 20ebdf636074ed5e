"""The declared indexes: all that the local stack knows of the program's inside."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from local.files import CHECKOUT

if TYPE_CHECKING:
    from movies_etl.definitions.definition import IndexDefinition


def find_program() -> None:
    """Let this process import the program of this checkout."""
    plugins = str(CHECKOUT / "plugins")
    if plugins not in sys.path:
        sys.path.append(plugins)


def indexes() -> list[IndexDefinition]:
    """Return every index that a DAG of this checkout keeps up to date, `movies` first."""
    find_program()
    from movies_etl.definitions.registry import declared  # noqa: PLC0415 - not before it is found

    return sorted(declared().values(), key=lambda index: (index.name != "movies", index.name))
