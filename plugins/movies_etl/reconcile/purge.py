"""What becomes of a fuse list: a person is asked, and the answer carried out or kept.

After an approval each document of the list is read again; a film that has a row by then stays.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

from movies_etl.definitions.definition import Stream
from movies_etl.errors import ConfigurationError, WriterBusyError
from movies_etl.es.fuse_lists import Place
from movies_etl.postgres.lookups import waiting
from movies_etl.postgres.source import Source
from movies_etl.postgres.timestamps import parse
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.closing import close, is_moot
from movies_etl.reconcile.fuses import lists_of
from movies_etl.reconcile.repair import PAUSE_SECONDS, Pace, carry_out
from movies_etl.settings import Settings
from movies_etl.state.cursors import Cursor, all_cursors
from movies_etl.state.fuse_list import FuseList
from movies_etl.sync.counters import Counters
from movies_etl.sync.resources import Resources

log = logging.getLogger(__name__)

LATE = timedelta(hours=1)
"""So long after the time for an answer, the run that asked counts as gone and another may ask."""


def waits_for_a_question(resources: Resources, settings: Settings) -> bool:
    """Whether there is a list about which no run asks."""
    return bool(_unasked(resources, settings))


def next_list(
    resources: Resources, settings: Settings, run: str, digest: str = ""
) -> FuseList | None:
    """Take the next list to ask about, so that no other run does.

    :param run: the run that asks.
    :param digest: of the list that somebody wants to be asked about, one that was refused, too; its
        beginning is enough. Empty: the oldest one that waits.
    :returns: None where there is none.
    :raises ConfigurationError: there is no such list.
    """
    found = _asked_for(resources, digest) if digest else _unasked(resources, settings)
    now = resources.source.server.now()
    for one, place in found:
        if is_moot(resources, one):
            log.info("List %s is of no use any more: nothing is left to be done", one.digest[:12])
            close(resources, one)
            continue
        asked = one.model_copy(update={"state": "waiting", "asked_at": now, "asked_by": run})
        if lists_of(resources).take(asked, place):
            log.info("A person is asked about list %s: %d %s", one.digest[:12], one.count, one.kind)
            return asked
    return None


def _unasked(resources: Resources, settings: Settings) -> list[tuple[FuseList, Place]]:
    now = parse(resources.source.server.now())
    longest = timedelta(hours=settings.approval_hours) + LATE
    return [
        (one, place)
        for one, place in lists_of(resources).open(resources.context.uuid)
        if one.state == "waiting"
        and (one.asked_at is None or now - parse(one.asked_at) > longest)
        and not _is_for_the_sync(resources, one)
    ]


def _is_for_the_sync(resources: Resources, one: FuseList) -> bool:
    """Whether the sync may still load what is on a list of rewrites by itself.

    Many rows that were changed with a time of now differ from their documents until the sync has
    loaded them: until nothing waits for it, or a run that began later is over.
    """
    if one.kind == "deletions":
        return False
    streams = resources.definition.streams
    cursors = all_cursors(resources.cursors, streams)
    loaded = [parse(cursor.horizon) for cursor in cursors.values() if cursor and cursor.horizon]
    if len(loaded) < len(streams):
        return True
    return min(loaded) <= parse(one.found_at) and any(
        _has_work(resources.source, stream, cursors[stream.name]) for stream in streams
    )


def _has_work(source: Source, stream: Stream, cursor: Cursor | None) -> bool:
    """Whether something waits for a stream; a row without a time is always loaded again."""
    feeds = filter(None, (stream.rows, stream.links))
    return bool(
        (cursor and cursor.fan_out)
        or waiting(source, stream, cursor, at_most=1)
        or any(source.undated(feed, None, 1) for feed in feeds)
    )


def _asked_for(resources: Resources, digest: str) -> list[tuple[FuseList, Place]]:
    known = lists_of(resources).open(resources.context.uuid)
    found = [(one, place) for one, place in known if one.digest.startswith(digest)]
    if len(found) != 1:
        there = ", ".join(one.digest[:12] for one, _ in known) or "none"
        raise ConfigurationError(
            f"{len(found)} open lists of {resources.definition.alias} begin with {digest!r}; open "
            f"are: {there}. Nothing was done; trigger again."
        )
    return found


def approved(resources: Resources, settings: Settings, digest: str, by: str | None) -> Counters:
    """Carry out a list; only then it counts as done.

    :param by: the user who approved.
    :raises ConfigurationError: the list is of another index than the alias leads to.
    :raises WriterBusyError: a task was writing all the time; what was not done stays on the list.
    """
    one = _about(resources, digest)
    own = replace(resources, counters=Counters())
    if one.state == "done":
        log.info("List %s is done already", digest[:12])
        return own.counters
    for ids in lists_of(resources).pieces(one):
        found = Candidates()
        (found.surplus if one.kind == "deletions" else found.damaged).update(ids)
        if carry_out(own, settings, found, Pace(PAUSE_SECONDS)).left:
            raise WriterBusyError(
                f"List {digest[:12]} is not done yet: another task writes to "
                f"{resources.context.index}. What is done is done; the next attempt does the rest."
            )
    close(resources, one, by)
    said = own.counters.outcomes() or "nothing to do"
    log.info("List %s is done: %s", digest[:12], said)
    return own.counters


def refused(resources: Resources, digest: str, by: str | None) -> None:
    """Keep that a list was refused: its documents stay as they are.

    :param by: the user who refused it, None when time ran out.
    """
    one = _about(resources, digest)
    if one.state == "done":  # it has no ids any more, so none of them can be set aside
        log.info("List %s is done already; the refusal came too late", digest[:12])
        return
    now = resources.source.server.now()
    update = {"state": "refused", "answered_at": now, "answered_by": by}
    lists_of(resources).change(one.model_copy(update=update))
    log.warning(
        "List %s was refused%s: %d %s stay as they are in %s, and are not asked about again",
        digest[:12],
        f" by {by}" if by else ", as nobody answered in time",
        one.count,
        resources.definition.nouns,
        resources.definition.alias,
    )


def _about(resources: Resources, digest: str) -> FuseList:
    one = lists_of(resources).found(digest)
    if one is None or one.index != resources.context.uuid:
        raise ConfigurationError(
            f"List {digest[:12]} is {'of another index' if one else 'gone'}. Nothing was done: "
            f"what differs in {resources.context.index} is found by "
            f"{resources.definition.reconcile_dag}."
        )
    return one
