"""What a person is asked about a fuse list, in the words of the web UI."""

from __future__ import annotations

from typing import NamedTuple

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import printable
from movies_etl.state.fuse_list import FuseList

_LONGEST_EXAMPLE = 80
"""Characters of a title in a question."""


class Question(NamedTuple):
    """What a person is asked, as the web UI shows it."""

    subject: str
    body: str


def question_about(one: FuseList, definition: IndexDefinition) -> Question:
    """Return what a person is asked about a list."""
    nouns, share = definition.nouns, f"{one.share:.1%}"
    numbers = f"{one.count:,} of {one.documents:,} {nouns} ({share})"
    if one.kind == "deletions":
        subject = f"Delete {numbers} from {definition.alias}?"
        why = f"These {nouns} are in the index, but the database has no row of them any more"
        approve = f"deletes those {nouns} of the list that still have no row then"
    else:
        subject = f"Rewrite {numbers} in {definition.alias}?"
        why = f"The index has other texts of these {nouns} than the database"
        approve = f"writes the {nouns} of the list as the database has them then"
    names = "\n".join(f"- {_plain(name)}" for name in one.examples)
    body = (
        f"{why}. So many at once may be a mistake: a lost right, a wrong database, an import under "
        f"way.\n\n**Approve** {approve}. **Reject**, or no answer, leaves them, and this list is "
        f"not asked again.\n\nThe first ones:\n\n{names}\n\nFound at {one.found_at}; the list is "
        f"`{one.digest}` in index `{definition.fuse_lists}`."
    )
    return Question(subject, body)


def _plain(name: str) -> str:
    """Return a title as text that Markdown shows as it is."""
    line = printable(" ".join(name.split())).replace("`", "'")
    return f"`{line[:_LONGEST_EXAMPLE]}`" if line else "(empty)"
