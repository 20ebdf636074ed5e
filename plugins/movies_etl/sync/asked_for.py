"""What somebody asks of a run in the trigger form, and the documents that it leads to."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from movies_etl.errors import ConfigurationError, named
from movies_etl.postgres import ids
from movies_etl.postgres.source import Source
from movies_etl.sync.resources import Resources

log = logging.getLogger(__name__)

ALL = "all"


@dataclass(frozen=True)
class RunParams:
    """What somebody asked for in the trigger form.

    :param page_size: rows per page; None takes the setting.
    :param ids: documents to be loaded whatever the index has of them.
    :param replay: documents whose dead letters are tried again; ``all`` for every one.
    """

    page_size: int | None = None
    ids: Sequence[str] = ()
    replay: Sequence[str] = ()


def checked(asked: RunParams, source: Source) -> RunParams:
    """Return what was asked for with its ids as PostgreSQL writes them.

    :raises ConfigurationError: one of them cannot be an id of the catalogue.
    """
    lowest = source.layout.lowest_ids[source.definition.root.rows.table]
    wrong: dict[str, None] = {}

    def written(texts: Iterable[str]) -> Iterator[str]:
        for text in texts:
            if (id_ := ids.written(text, lowest)) is None:
                wrong[text] = None
            else:
                yield id_

    found = replace(
        asked,
        ids=tuple(dict.fromkeys(written(asked.ids))),
        replay=(ALL,) if ALL in asked.replay else tuple(dict.fromkeys(written(asked.replay))),
    )
    if wrong:
        raise ConfigurationError(
            f"No {source.definition.noun} can have the id {named(wrong)}: an id of this catalogue "
            f"is {ids.in_words(lowest)}. Nothing was done; correct the params ids and replay, and "
            "trigger again."
        )
    return found


def documents_asked_for(
    asked: RunParams, resources: Resources, with_letter: Collection[str]
) -> list[str]:
    """Return the documents to be loaded; ids that do not exist are logged and counted.

    :param asked: checked.
    :param with_letter: the documents that have a dead letter.
    """
    replayed = sorted(with_letter) if ALL in asked.replay else asked.replay
    letterless = [one for one in replayed if one not in with_letter]
    wanted = [*dict.fromkeys([*asked.ids, *(one for one in replayed if one in with_letter)])]
    known = resources.source.existing(wanted)
    unknown = [one for one in wanted if one not in known]
    noun, nouns = resources.definition.noun, resources.definition.nouns
    if unknown:
        log.warning("The catalogue has no %s of id %s", noun, named(unknown))
    if letterless:
        log.warning(
            "No dead letter is there of %s %s: param ids loads %s that have none",
            nouns,
            named(letterless),
            nouns,
        )
    resources.counters.unknown = [*dict.fromkeys([*unknown, *letterless])]
    return [one for one in wanted if one in known]
