"""Where a stream stands, and where that is kept between runs.

A cursor is one JSON value per stream. It holds only positions that were read from a row (or none:
the beginning): a stream that finds nothing does not follow the clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Protocol, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from movies_etl.definitions.definition import Stream
from movies_etl.errors import ConfigurationError, problems
from movies_etl.state.database import Database
from movies_etl.state.visible import Visible


def _of_the_calendar(stamp: str) -> str:
    """Refuse a day or an hour that does not exist; PostgreSQL's years go beyond Python's."""
    year, _, rest = stamp.partition("-")
    datetime.fromisoformat(f"{2000 + int(year) % 400}-{rest}")  # the calendar repeats
    return stamp


Stamp = Annotated[
    str,
    Field(pattern=r"^\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d(:\d\d)?$"),
    AfterValidator(_of_the_calendar),
]
"""A time as ISO 8601 text: six fractional digits and the zone. In a cursor over a column without
time zone it is the column's own wall time with its offset, which PostgreSQL ignores when it
compares in the column's type."""


WITHOUT_A_CURSOR = (
    "without the cursor of the first stream everything is loaded again, without another one its "
    "stream from the beginning"
)
"""What deleting a cursor does, for messages."""


class Position(BaseModel):
    """A row's place in its feed: its stamp, then its id."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    stamp: Stamp
    id: str

    @classmethod
    def at(cls, other: Position) -> Self:
        """Return the same place as a position of this kind."""
        return cls(stamp=other.stamp, id=other.id)


class RowPosition(Position):
    """A position in a table ordered by ``modified``."""

    stamp: Stamp = Field(alias="modified")


class LinkPosition(Position):
    """A position in a link table ordered by ``created``."""

    stamp: Stamp = Field(alias="created")


class FanOutProgress(BaseModel):
    """How far the documents of one page of changed rows have been loaded.

    The page is named by both bounds: read again by them it holds what has not changed since, and
    a row that left it has a later ``modified`` and comes again.

    :param start: the last row before the page; None is the beginning.
    :param end: the last row of the page.
    :param after_root: the last document that was loaded; None before the first page of them.
    :param since: the first version of the run that began the page: a document of that version or a
        later one was read after these rows had changed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    start: RowPosition | None = Field(alias="from")
    end: RowPosition = Field(alias="to")
    after_root: str | None = Field(alias="after_film")
    since: int = 0


class SentRow(BaseModel):
    """A row above the horizon whose documents were loaded; equal xmin, same row version."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    id: str
    xmin: str


class Seen(Visible):
    """What was visible before a stream was read to its end.

    :param rows: where its cursor stood at the end.
    :param links: the same for the link table.
    :param left_at: the horizon at or above which rows were left; None: there were none.
    """

    rows: RowPosition | None
    links: LinkPosition | None
    left_at: Stamp | None


class Cursor(BaseModel):
    """Where one stream stands.

    :param index: uuid of the concrete index that the loaded documents are in.
    :param history: the index's history when it had all that the cursors passed: a restored index
        has another one. Kept by the first stream; None in a cursor that version 0.1.0 wrote.
    :param database: the database that they were read from.
    :param rows: the last row that is loaded with everything below it; None is the beginning.
    :param links: the same for the link table of the stream.
    :param fan_out: progress inside the page after ``rows``.
    :param tail: rows above the horizon that were fanned out.
    :param horizon: the horizon of the last run that came to the end of the stream; None while the
        first load is under way.
    :param version: the highest version sent (microseconds of the database's clock). While
        ``open``: an upper bound of the versions sent; the next task starts above it.
    :param open: a task has sent documents and has not ended cleanly since.
    :param loaded_to: the last id that a load by ranges of ids has loaded; only in the state of
        such a load.
    :param trusted_from: the version below which the index is not trusted: a late request of a
        task that died may still change such a document, so it is sent again even if its checksum
        matches (0: every document is trusted). The JSON name is ``fence``.
    :param seen: what was visible before the stream was last read to its end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    index: str
    history: str | None = None
    database: Database
    rows: RowPosition | None = None
    links: LinkPosition | None = None
    fan_out: FanOutProgress | None = None
    tail: tuple[SentRow, ...] = ()
    horizon: Stamp | None = None
    version: int = 0
    open: bool = False
    loaded_to: str | None = None
    trusted_from: int = Field(default=0, alias="fence")
    seen: Seen | None = None

    def has_read(self, visible: Visible, horizon: str) -> bool:
        """Whether everything that is visible in this snapshot was read.

        Rows that were left above a horizon are read again when there is a later one: the cursor
        has to pass them.
        """
        seen = self.seen
        return (
            seen is not None
            and seen.is_same(visible)
            and (seen.rows, seen.links, None) == (self.rows, self.links, self.fan_out)
            and seen.left_at in (None, horizon)
        )

    def moved(self, **changes: object) -> Self:
        """Return a copy with these fields changed; unlike ``model_copy`` it is validated."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self).model_validate(fields | changes)

    def to_json(self) -> str:
        """Write the cursor as the text of its Variable."""
        absent = {name for name in ("history", "loaded_to", "seen") if getattr(self, name) is None}
        return self.model_dump_json(by_alias=True, indent=2, exclude=absent)

    @classmethod
    def from_json(cls, text: str, *, where: str) -> Self:
        """Read a cursor.

        :param where: the Variable that holds the text, for the message.
        :raises ConfigurationError: the text is not a cursor.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ConfigurationError(
                f"Variable {where} is not a valid cursor ({problems(error)}). Fix it in "
                f"Admin -> Variables, or delete it: {WITHOUT_A_CURSOR}."
            ) from error


class CursorStore(Protocol):
    """Keeps one cursor per stream."""

    def load(self, stream: str) -> Cursor | None:
        """Return the stream's cursor, None when there is none.

        An unreachable store is an error, never None: absence would load everything again.
        """

    def save(self, stream: str, cursor: Cursor) -> None:
        """Keep the stream's cursor in place of the one before."""


class LiveCursors(CursorStore, Protocol):
    """Keeps the cursors of the index behind the alias, and those of other indexes beside them.

    Such an index is being built, or was behind the alias and is kept.
    """

    def beside(self, index: str) -> CursorStore:
        """Return where the cursors of another index are kept.

        :param index: the concrete index.
        """

    def indexes(self) -> list[str]:
        """Return the other indexes that have cursors, in the order of their names."""

    def forget(self, index: str) -> None:
        """Delete the cursors of another index, the first stream's last."""


def all_cursors(store: CursorStore, streams: Iterable[Stream]) -> dict[str, Cursor | None]:
    """Load the cursor of each stream, by the stream's name."""
    return {stream.name: store.load(stream.name) for stream in streams}
