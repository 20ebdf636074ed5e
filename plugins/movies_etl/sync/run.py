"""The loop: what changed is read, built whole, compared, sent, settled, and only then remembered.

``sync`` runs one stream of one run:

1. ``batches`` pages through the stream's changes and leads them to documents;
2. documents that this run has loaded already are left out;
3. ``Source.documents`` builds each whole document from the present state of its rows;
4. the index's pydantic model validates it; a document that the index has already is left out;
5. ``Loader`` sends it, with the database's clock before the reading as its version, so an older
   reading never overwrites a newer one; before a version is sent, the cursor says that it may be;
6. when every document of a page is settled (indexed, beaten by a newer one, or parked as a dead
   letter) the page's cursor is saved.

A crash between any two steps repeats a page and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from itertools import chain

from movies_etl.definitions.definition import Stream
from movies_etl.errors import ConfigurationError, MoviesEtlError
from movies_etl.es.admin import live
from movies_etl.postgres import lock
from movies_etl.settings import Settings
from movies_etl.state.visible import Visible
from movies_etl.steps import result_of
from movies_etl.sync.asked_for import RunParams, checked, documents_asked_for
from movies_etl.sync.batches import Reading, batches, whatever_the_index_has
from movies_etl.sync.counters import Counters
from movies_etl.sync.resources import Resources
from movies_etl.sync.stream_run import StreamRun


def sync(
    stream: Stream, resources: Resources, settings: Settings, asked: RunParams | None = None
) -> Counters:
    """Load everything that changed in one stream, and move its cursor.

    :returns: what was done; also when nothing changed.
    :raises MoviesEtlError: the cursor stands at the last settled page; see ``errors``.
    """
    result_of(in_steps(stream, resources, settings, asked))
    return resources.counters


def in_steps(
    stream: Stream, resources: Resources, settings: Settings, asked: RunParams | None = None
) -> Generator[None, None, None]:
    """Do the same batch by batch. Closed between two batches, it ends cleanly.

    :raises MoviesEtlError: see ``sync``.
    """
    asked = checked(asked or RunParams(), resources.source)
    context = resources.context
    page_size = asked.page_size or settings.page_size
    lock.take(resources.source.server, context.uuid, wait=resources.lock_wait)
    visible = check_context(resources)
    run = StreamRun.begun(stream, resources, settings)

    wanted = documents_asked_for(asked, resources, run.ids_with_letter)
    reading = Reading(context, page_size, visible)
    is_idle = not wanted and reading.has_nothing_for(run.cursor)
    source = resources.source if is_idle else resources.caught_up()
    run.read_on(source)
    for batch in chain(
        whatever_the_index_has(wanted, page_size),
        batches(stream, run.cursor, source, reading),
    ):
        run.load(batch)
        try:
            yield
        except GeneratorExit:
            with suppress(MoviesEtlError):  # then the cursor says that it did not end cleanly
                run.finish()
            raise
    run.finish()
    run.progress.done()


def check_context(resources: Resources) -> Visible | None:
    """Refuse to write when the alias or the connection has left what the run began with.

    An index beside the live one has no alias; it must be there as it was.

    :returns: what is visible in the database; None where that is not known.
    :raises ConfigurationError: one leads elsewhere; the next run finds out where.
    """
    context, definition = resources.context, resources.definition
    known = context.layout and context.layout.visible
    visible = resources.source.visible() if known else None
    if visible is None or visible != known:  # else it is the same server and the same database
        _check_database(resources)
    if context.beside:
        resources.index.check_uuid(context.uuid)
        return visible
    index = live(resources.client, definition, resources.patience)
    if index is None or index.name != context.index or index.uuid() != context.uuid:
        found = f"leads to {index.name}" if index else "is gone"
        raise ConfigurationError(
            f"Alias {definition.alias} {found}, but this run began with index {context.index}. "
            "This attempt wrote nothing; trigger a new run (clearing this task alone would fail "
            "again)."
        )
    return visible


def _check_database(resources: Resources) -> None:
    context, (_, database) = resources.context, resources.source.identity()
    if difference := database.difference_from(context.database):
        raise ConfigurationError(
            f"Connection movies_postgres leads elsewhere than when this run began: {difference}. "
            "This attempt wrote nothing; trigger a new run."
        )
