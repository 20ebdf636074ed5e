"""Whole documents as PostgreSQL assembles them; one that it cannot assemble stops no other.

A text may be stored that PostgreSQL cannot read or convert: a byte that is no UTF-8 in a database
whose encoding is SQL_ASCII, a character that UTF-8 lacks, a damaged page, a document of more than a
gigabyte. The statement fails then, and with it the page. Only after such a failure the page is
halved and halved again, until the documents that fail stand alone.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from itertools import starmap
from typing import NamedTuple

from psycopg import errors

from movies_etl.errors import MoviesEtlError, on_one_line
from movies_etl.postgres.queries import Queries

OF_ONE_DOCUMENT = (
    errors.CharacterNotInRepertoire,
    errors.UntranslatableCharacter,
    errors.ProgramLimitExceeded,
    errors.DataCorrupted,
)
"""Errors that the text of a row causes, and that will come again."""


class Assembled(NamedTuple):
    """A document as PostgreSQL assembled it.

    :param text: JSON in UTF-8, as it is sent.
    :param problem: why PostgreSQL could not assemble it, in its words; None when it did.
    """

    id: str
    text: bytes
    problem: str | None = None


def assembled(
    queries: Queries, file: str, size: int, ids: Sequence[str]
) -> Generator[list[Assembled], None, None]:
    """Assemble the documents of these ids that exist, in pieces; the generator is to be closed.

    :param file: the query.
    :param size: documents per piece.
    """
    done: set[str] = set()
    try:
        with closing(queries.pieces(file, size, ids=[*ids])) as pieces:
            for rows in pieces:
                documents = [*starmap(Assembled, rows)]
                done.update(one.id for one in documents)
                yield documents
    except MoviesEtlError as error:
        if not isinstance(error.__cause__, OF_ONE_DOCUMENT):
            raise
        problem = on_one_line(error.__cause__)
    else:
        return
    left = [one for one in ids if one not in done]
    if len(left) == 1:
        yield [Assembled(left[0], b"", problem)]
        return
    middle = len(left) // 2
    yield from assembled(queries, file, size, left[:middle])
    yield from assembled(queries, file, size, left[middle:])
