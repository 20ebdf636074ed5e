"""What must be true after a run that nothing disturbed."""

from __future__ import annotations

from movies_etl.es.dead_letters import letters_of
from movies_etl.es.family import is_concrete

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
    _check_indexes(operator, program)


def _check_indexes(operator: Operator, program: Program) -> None:
    """Look at which indexes there are: the live one, the letters, and what rebuilds left."""
    definition = program.around.definition
    others = {*operator.indexes()} - {definition.fuse_lists, *operator.indexes_behind_alias()}
    kept = {name for name in others if is_concrete(definition, name) or name in operator.made}
    if kept and not program.rebuild_states:
        raise Divergence(f"there are indexes beside the live one: {kept}")
    letters = {name for name in others if name.endswith(letters_of(""))}
    if not letters or others - kept - letters:
        raise Divergence(f"beside the live index and its letters there are {others}")
