"""What becomes of documents: counted, doubted, parked, and the fuse for a wrong mapping."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from elasticsearch import Elasticsearch
from movies_etl.definitions.movies import MOVIES
from movies_etl.errors import ConfigurationError, RefusedDocumentsError
from movies_etl.es.bulk import Sender
from movies_etl.es.dead_letters import DeadLetters
from movies_etl.es.index import Index
from movies_etl.es.letters import Letter
from movies_etl.es.outcome import Item, Outcome, Refusal
from movies_etl.es.throttle import Throttle
from movies_etl.postgres.source import Source
from movies_etl.state.database import Database
from movies_etl.state.run_context import RunContext
from movies_etl.sync.fuse import FUSE_REFUSALS
from movies_etl.sync.resources import Resources
from movies_etl.sync.settlement import Settlement
from movies_etl.sync.versions import Versions

from tests.support.catalogue import Catalogue
from tests.support.samples import item
from tests.support.site import MemoryCursors

AHEAD = 60_000_000


@pytest.fixture
def source(catalogue: Catalogue) -> Source:
    return catalogue.source()


@pytest.fixture
def letters(client: Elasticsearch) -> DeadLetters:
    letters = DeadLetters(client, MOVIES)
    letters.create()
    return letters


def opened(source: Source, index: Index, ahead: int) -> Settlement:
    """Return a settlement of a task whose newest reading is below every version."""
    context = RunContext(
        index=index.name,
        uuid=index.uuid(),
        database=Database(name="movies"),
        m2m_start=source.server.now(),
        horizon=source.server.now(),
        version=0,
    )
    resources = Resources(
        source=source,
        client=index.client,
        context=context,
        cursors=MemoryCursors(),
        executor=ThreadPoolExecutor(1),
    )
    return Settlement.opened(resources, Versions(0, 0), ahead=ahead)


@pytest.fixture
def settlement(source: Source, index: Index, letters: DeadLetters) -> Settlement:
    assert not letters.ids()
    return opened(source, index, ahead=AHEAD)


def refused(count: int, first: int = 0) -> Outcome:
    items = [item(f"f{number}") for number in range(first, first + count)]
    return Outcome(refused=[Refusal(one, "no such field") for one in items])


def test_outcomes_are_counted(settlement: Settlement) -> None:
    settlement.settle(Outcome(indexed=[item("a"), item("b")]))
    settlement.settle(Outcome(indexed=[item("c")], refused=refused(2).refused))
    counters = settlement.counters
    assert (counters.indexed, counters.refused, counters.conflicts) == (3, 2, 0)


def test_a_refused_document_becomes_a_letter_with_its_text(
    settlement: Settlement, letters: DeadLetters, client: Elasticsearch
) -> None:
    bad = item("bad", title="\u0451")
    settlement.settle(Outcome(indexed=[item("a")], refused=[Refusal(bad, "no such field")]))
    assert letters.ids() == {"bad"}
    letter = client.get(index="movies-dead-letters", id="bad")["_source"]
    assert (letter["stage"], letter["reason"]) == ("indexing", "no such field")
    assert letter["document"] == bad.source.decode()


def test_a_letter_is_gone_when_its_film_is_indexed(
    source: Source, index: Index, letters: DeadLetters
) -> None:
    letters.park([Letter(film, "indexing", "r", "{}") for film in "ab"], "2026-01-01T00:00:00Z", 1)
    settlement = opened(source, index, ahead=0)
    assert settlement.ids_with_letter == {"a", "b"}
    settlement.settle(Outcome(indexed=[item("a", 2), item("c", 2)]))
    assert letters.ids() == settlement.ids_with_letter == {"b"}


def test_a_letter_that_an_indexed_document_has_made_void_is_removed(
    source: Source, index: Index, letters: DeadLetters
) -> None:
    assert Sender(index, 0, Throttle(1000, 1))([item(film, 5) for film in "abc"]).indexed
    for film, version in (("a", 4), ("b", 6), ("not indexed", 1)):
        letters.park([Letter(film, "indexing", "r", "{}")], "2026-01-01T00:00:00Z", version)
    settlement = opened(source, index, ahead=0)
    assert settlement.ids_with_letter == letters.ids() == {"b", "not indexed"}
    letters.park([Letter("a", "indexing", "r", "{}")], "2026-01-01T00:00:00Z", 4)
    assert "a" not in letters.ids()  # nor does it come back


def test_a_film_refused_and_then_indexed_in_one_task_has_no_letter(
    settlement: Settlement, letters: DeadLetters
) -> None:
    settlement.settle(Outcome(indexed=[item("x")], refused=[Refusal(item("a"), "r")]))
    assert letters.ids() == {"a"}
    settlement.settle(Outcome(indexed=[item("a", 2)]))
    assert letters.ids() == set()


def test_of_two_documents_of_a_film_in_one_body_the_later_reading_counts(
    settlement: Settlement, letters: DeadLetters
) -> None:
    settlement.settle(
        Outcome(
            indexed=[item("good since", 2), item("bad since", 1)],
            refused=[Refusal(item("good since", 1), "r"), Refusal(item("bad since", 2), "r")],
        )
    )
    assert letters.versions() == {"bad since": 2}
    assert settlement.ids_with_letter == {"bad since"}


def test_a_letter_of_a_later_reading_outlives_an_earlier_one_that_is_indexed(
    settlement: Settlement, letters: DeadLetters
) -> None:
    settlement.refuse([Letter("a", "validation", "r", "{}")], 2)
    settlement.settle(Outcome(indexed=[item("a", 1)]))
    assert letters.versions() == {"a": 2}
    assert settlement.ids_with_letter == {"a"}


def test_many_refused_and_none_accepted_blow_the_fuse(
    settlement: Settlement, letters: DeadLetters
) -> None:
    settlement.settle(refused(FUSE_REFUSALS - 1))
    with pytest.raises(RefusedDocumentsError, match=r"20 documents .* film f19: no such field"):
        settlement.settle(refused(1, first=FUSE_REFUSALS - 1))
    assert FUSE_REFUSALS == 20
    assert f"f{FUSE_REFUSALS - 1}" not in letters.ids()


def test_one_accepted_document_says_that_the_mapping_is_right(settlement: Settlement) -> None:
    settlement.settle(Outcome(indexed=[item("good")]))
    settlement.settle(refused(FUSE_REFUSALS * 2))
    assert settlement.counters.refused == FUSE_REFUSALS * 2


def invalid(count: int, first: int = 0) -> list[Letter]:
    return [Letter(f"i{n}", "validation", "no number", "{}") for n in range(first, first + count)]


def test_documents_that_the_program_itself_refuses_blow_the_fuse_too(
    settlement: Settlement, letters: DeadLetters
) -> None:
    settlement.refuse(invalid(FUSE_REFUSALS - 1), 1)
    with pytest.raises(RefusedDocumentsError, match=r"20 documents were .* film i19: no number"):
        settlement.refuse(invalid(1, first=FUSE_REFUSALS - 1), 1)
    assert f"i{FUSE_REFUSALS - 1}" not in letters.ids()


@pytest.mark.parametrize("index_first", [False, True])
def test_both_kinds_of_refusals_are_counted_together(
    settlement: Settlement, *, index_first: bool
) -> None:
    half = FUSE_REFUSALS // 2
    settlement.send(half)
    if index_first:
        settlement.settle(refused(half))
        with pytest.raises(RefusedDocumentsError, match="20 documents were refused and none"):
            settlement.refuse(invalid(half), 1)
    else:
        settlement.refuse(invalid(half), 1)
        with pytest.raises(RefusedDocumentsError, match="20 documents were refused and none"):
            settlement.settle(refused(half))


def test_a_document_that_the_index_has_already_says_that_the_catalogue_is_right(
    settlement: Settlement,
) -> None:
    settlement.find(["good"], 1)
    settlement.refuse(invalid(FUSE_REFUSALS * 2), 1)
    assert settlement.counters.refused == FUSE_REFUSALS * 2


def test_valid_documents_on_their_way_are_waited_for(settlement: Settlement) -> None:
    settlement.send(1)
    settlement.refuse(invalid(FUSE_REFUSALS), 1)
    with pytest.raises(RefusedDocumentsError, match="21 documents were refused"):
        settlement.settle(refused(1))
    with pytest.raises(RefusedDocumentsError, match="22 documents were refused"):
        settlement.refuse(invalid(1, first=FUSE_REFUSALS), 1)


def test_documents_that_have_a_letter_already_are_not_counted_again(
    settlement: Settlement,
) -> None:
    for _ in range(3):
        settlement.refuse(invalid(FUSE_REFUSALS - 1), 1)
    assert settlement.counters.refused == 3 * (FUSE_REFUSALS - 1)


def conflicting(index: Index, version: int) -> Sequence[Item]:
    """Store a document of this version; return an older one of the same film."""
    assert Sender(index, 0, Throttle(1000, 1))([item("a", version)]).indexed
    return [item("a", 1)]


def test_something_newer_in_the_index_is_settled(
    settlement: Settlement, index: Index, source: Source
) -> None:
    settlement.settle(Outcome(conflicts=list(conflicting(index, source.server.clock()))))
    assert settlement.counters.conflicts == 1


def test_a_version_within_the_margin_of_the_clock_is_settled(
    settlement: Settlement, index: Index, source: Source
) -> None:
    settlement.settle(
        Outcome(conflicts=list(conflicting(index, source.server.clock() + AHEAD // 2)))
    )
    assert settlement.counters.conflicts == 1


def test_something_from_the_future_is_an_error_that_names_the_film(
    settlement: Settlement, index: Index, source: Source
) -> None:
    future = source.server.clock() + AHEAD * 2
    with pytest.raises(ConfigurationError, match=r"Film a has a version in .* \d+ s ahead"):
        settlement.settle(Outcome(conflicts=list(conflicting(index, future))))


def test_a_conflict_with_a_film_that_is_gone_by_now_is_settled(settlement: Settlement) -> None:
    settlement.settle(Outcome(conflicts=[item("deleted since", 1)]))
    assert settlement.counters.conflicts == 1
