"""What somebody asked of a run of the reconcile, in its trigger form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ReconcileParams:
    """What somebody asked for in the trigger form.

    :param full: compare everything now.
    :param dry_run: write nothing, neither to the index nor to what is remembered.
    :param ids: compare these documents, and nothing else.
    """

    full: bool = False
    dry_run: bool = False
    ids: Sequence[str] = ()
