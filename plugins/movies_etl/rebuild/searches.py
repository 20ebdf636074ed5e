"""The operators' own searches, on both indexes: how many first hits are the same, and how fast.

They lie in ``elasticsearch/searches/<index>.json``: a list of objects with ``name`` and ``body``.
A changed analyzer finds something else on purpose, so nothing is refused here; the figures are
shown. The searches also warm the new index up.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import elasticsearch

from movies_etl.errors import ConfigurationError, on_one_line
from movies_etl.es.client import translated_errors
from movies_etl.es.index import Index
from movies_etl.settings import included

log = logging.getLogger(__name__)

FIRST = 10


def compare_searches(include_dir: Path, old: Index, new: Index) -> list[dict[str, Any]]:
    """Run each search on both indexes.

    :returns: per search its ``name``, how many of the first ten of the old index the new one has
        among its own (``same`` ``of``), and milliseconds of both.
    :raises ConfigurationError: the file is not valid, or the new index refuses a search that the
        old one takes.
    """
    results = []
    for name, body in _searches(include_dir, new.definition.name):
        try:
            before, took_before = _first(old, body)
        except elasticsearch.ApiError as error:
            said = on_one_line(error)
            log.warning("Search %s is not compared, %s refuses it: %s", name, old.name, said)
            continue
        with translated_errors():
            now, took = _first(new, body)
            now, took = _first(new, body)  # the first time warms up
        same = len(set(before) & set(now))
        results.append(
            {
                "name": name,
                "same": same,
                "of": len(before),
                "milliseconds_before": took_before,
                "milliseconds": took,
            }
        )
        log.info(
            "Search %s: %d of the first %d are the same; %d ms, before %d ms",
            name,
            same,
            len(before),
            took,
            took_before,
        )
    return results


def _first(index: Index, body: dict[str, Any]) -> tuple[list[str], int]:
    answer = index.client.search(index=index.name, body={"_source": False, "size": FIRST} | body)
    return [hit["_id"] for hit in answer["hits"]["hits"]], int(answer["took"])


def _searches(include_dir: Path, name: str) -> list[tuple[str, dict[str, Any]]]:
    file = include_dir / "elasticsearch" / "searches" / f"{name}.json"
    if not file.exists():
        return []
    try:
        return [(one["name"], dict(one["body"])) for one in json.loads(included(file))]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{file} is no list of objects with name and body: {error}. Fix it; then clear this "
            "task."
        ) from error
