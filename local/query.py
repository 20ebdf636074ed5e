"""A query of the program as it is sent for one feed of an index: its names filled in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from local.files import CHECKOUT
from local.indexes import indexes

if TYPE_CHECKING:
    from movies_etl.definitions.definition import IndexDefinition, Stream
    from movies_etl.postgres.queries import Names
    from movies_etl.settings import Settings

Kind = TypeVar("Kind")
FOLDER = CHECKOUT / "include" / "sql"


def query(file: str, stream: str | None, *, index: str = "movies", links: bool = False) -> str:
    """Return the text of a query; values stay parameters, as ``%(page_size)s``.

    :param file: such as ``feed/page.sql``, or ``page``.
    :param stream: whose feed it reads; None takes the index's root.
    :param links: whether it reads the stream's new links in place of its rows.

    Raises LookupError when there is no such file, index, stream or feed.
    """
    path = _found(file)
    definition = _one("index", index, {one.name: one for one in indexes()})
    streams = {one.name: one for one in definition.streams}
    chosen = definition.root if stream is None else _one("stream", stream, streams)
    from movies_etl.postgres.queries import filled  # noqa: PLC0415 - indexes() finds the program
    from movies_etl.settings import load_settings  # noqa: PLC0415

    settings = load_settings()
    names = _names(path, definition, chosen, settings, links=links)
    text = filled(FOLDER / path, {"schema": settings.schema_name, **names}).decode()
    return text.replace("%%", "%").rstrip()  # doubled for the driver only


def _found(file: str) -> Path:
    files = {path.relative_to(FOLDER) for path in FOLDER.rglob("*.sql")}
    asked = Path(os.path.relpath(FOLDER / file, FOLDER)).with_suffix(".sql")
    found = [path for path in files if path == asked] or [
        path for path in files if path.name == asked.name
    ]
    if len(found) != 1:
        known = ", ".join(sorted(str(path.with_suffix("")) for path in found or files))
        msg = f"no query is named {file!r}; there are {known}"
        raise LookupError(msg)
    return found[0]


def _one(what: str, name: str, known: dict[str, Kind]) -> Kind:
    try:
        return known[name]
    except KeyError:
        msg = f"no {what} is named {name!r}; there are {', '.join(known)}"
        raise LookupError(msg) from None


def _names(
    path: Path, definition: IndexDefinition, stream: Stream, settings: Settings, *, links: bool
) -> Names:
    from movies_etl.postgres import names  # noqa: PLC0415 - indexes() finds the program
    from movies_etl.postgres.layout import LOWEST_IDS  # noqa: PLC0415

    feed = stream.links if links else stream.rows
    if feed is None:
        msg = f"stream {stream.name} of {definition.name} has no links of its own"
        raise LookupError(msg)
    if path.stem in ("fan_out", "touched_keys", "dangling"):
        if stream.fan_out is None:
            msg = f"rows of {stream.name} are documents of {definition.name} themselves"
            raise LookupError(msg)
        return names.of_fan_out(stream)
    if path.parts[0] == "trace" and feed.root:
        return names.of_hashed(feed.table, feed.root, LOWEST_IDS["uuid"])
    if path.parts[0] == "feed":
        stamps = {"modified": settings.modified_column, "created": settings.created_column}
        return names.of_feed(feed, stamps)
    return names.of_words(definition)
