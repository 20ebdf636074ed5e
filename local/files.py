"""Where this checkout's local stack lives, and where installed packages keep their files."""

from __future__ import annotations

import importlib.util
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
STATE = CHECKOUT / ".local"
CACHE = STATE / "cache"


def package_folder(name: str) -> Path:
    """Return the folder of an installed package without importing it.

    Raises ModuleNotFoundError, naming the next step, when the package is not installed.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        msg = f"the Python package {name} is not installed: run `make install`"
        raise ModuleNotFoundError(msg)
    return Path(next(iter(spec.submodule_search_locations)))
