"""Files that a page of the docs tells a reader to make."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

_STEP = re.compile(
    r"^\d+\. `([\w./]+)`.*?^( *)```\w+\n(.*?)^\2```$", flags=re.DOTALL | re.MULTILINE
)


def files_of(page: Path) -> dict[str, str]:
    """Return the text of each file by its path: a step that begins with it, and its block."""
    return {path: textwrap.dedent(text) for path, _, text in _STEP.findall(page.read_text())}
