"""What must be true after a run that nothing disturbed."""

from __future__ import annotations

from tests.histories.operator import Operator
from tests.histories.program import Program
from tests.support.divergence import Divergence, check_others
from tests.support.expected import Documents


def check(wanted: Documents, operator: Operator, program: Program) -> bool:
    """Compare the index with the catalogue, the letters with what is refused, and the rest.

    :param wanted: the documents of the catalogue.
    :returns: whether nothing is left that has no row.
    :raises Divergence: says what differs.
    """
    definition = program.around.definition
    is_equal = check_others(
        operator.documents(definition.alias),
        wanted,
        operator.documents(definition.dead_letters).keys(),
        operator.asked_about(),
    )
    _check_state(operator, program)
    return is_equal


def _check_state(operator: Operator, program: Program) -> None:
    for stream in program.around.definition.streams:
        cursor = program.cursors.load(stream.name)
        if cursor is None or cursor.open:
            raise Divergence(f"the cursor of {stream.name} is {cursor} after a clean end")
    lists = program.around.definition.fuse_lists
    names = [name for name in operator.indexes() if name != lists]
    if len(names) != 2:
        raise Divergence(f"there are other indexes than the live one and the letters: {names}")
