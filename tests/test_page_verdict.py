"""The verdict on a document where not everything is known, or a person decides. No servers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from movies_etl.page.facts import Difference, DocumentFacts, Facts, RowFacts
from movies_etl.page.steps import steps
from movies_etl.page.verdict import verdict

NOW = datetime(2026, 11, 29, tzinfo=UTC)
ROW = RowFacts(exists=True, modified="2026-11-29T00:00:00.000000+00:00", is_passed=True)
DOCUMENT = DocumentFacts(
    concrete="movies-1", version=1, read_at=NOW, source={}, is_searchable=True, place=1
)


def facts(**known: Any) -> Facts:
    usual = {
        "index": "movies",
        "noun": "film",
        "dag": "movies_sync",
        "purge_dag": "movies_purge",
        "id": "x",
        "row": ROW,
        "document": DOCUMENT,
        "is_loaded": True,
        "cursor": "2026-11-29T01:00:00.000000+00:00",
        "paused": False,
    }
    return Facts(**(usual | known))


NOT_REMEMBERED = {"is_remembered": False, "is_loaded": False, "cursor": None, "paused": None}


@pytest.mark.parametrize(
    "known",
    [
        {
            "row": ROW.model_copy(update={"is_passed": False}),
            "document": DocumentFacts(concrete="i"),
        },
        {"differences": [Difference(field="title", row="a", document="b")]},
    ],
)
def test_without_cursors_and_runs_nothing_is_said_of_a_document_that_lacks_or_differs(
    known: dict[str, Any],
) -> None:
    without = facts(**known, **NOT_REMEMBERED)
    said = verdict(without)
    assert (said.state, said.action) == ("unknown", None)
    assert "without the cursors and runs" in said.sentence
    assert "the catalogue has this film" in said.sentence
    assert steps(without)[1].state == "unknown"
    assert verdict(facts(**known)).state in ("waiting", "stale")


def test_what_is_found_is_found_whatever_airflow_remembers() -> None:
    assert verdict(facts(**NOT_REMEMBERED)).state == "found"


def test_a_deletion_that_a_person_decides_is_not_said_to_come_with_the_next_run() -> None:
    gone = RowFacts(exists=False)
    said = verdict(facts(row=gone, left=101))
    assert (said.state, said.action) == ("gone", None)
    assert "101 documents without a row" in said.sentence
    assert "movies_purge under Required Actions" in said.next_step
    said = verdict(facts(row=gone))
    assert said.action
    assert "deletes their documents" in said.next_step
