"""What must be true after a run that nothing disturbed."""

from __future__ import annotations

from movies_etl.definitions.movies import MOVIES

from tests.histories.operator import Operator
from tests.histories.program import Program
from tests.support.catalogue import Catalogue
from tests.support.divergence import Divergence, check_documents


def check(catalogue: Catalogue, operator: Operator, program: Program) -> None:
    """Compare the index with the catalogue, the letters with what is refused, and the rest.

    :raises Divergence: says what differs.
    """
    check_documents(
        operator.documents(MOVIES.alias),
        catalogue.expected(),
        operator.documents(MOVIES.dead_letters).keys(),
    )
    _check_state(operator, program)


def _check_state(operator: Operator, program: Program) -> None:
    for stream in MOVIES.streams:
        cursor = program.cursors.load(stream.name)
        if cursor is None or cursor.open:
            raise Divergence(f"the cursor of {stream.name} is {cursor} after a clean end")
    names = operator.indexes()
    if len(names) != 2:
        raise Divergence(f"there are other indexes than the live one and the letters: {names}")
