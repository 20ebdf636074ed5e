"""Right for the right reason: documents are compared as whole texts, too, and by other code."""

from __future__ import annotations

import zlib
from collections import Counter
from datetime import UTC, datetime
from uuid import NAMESPACE_OID, uuid5

import pytest
from movies_etl.reconcile import contents
from movies_etl.reconcile.contents import PASS_TAKES, SAMPLED_ONE_OF, is_sampled

from local import catalogue
from local.films import films
from tests.support.indices import INDEXES, each_index
from tests.support.site import Site
from tests.support.texts import text_of, texts_in

BEGAN = datetime(2026, 3, 3, 12, tzinfo=UTC)
IDS = [str(uuid5(NAMESPACE_OID, str(number))) for number in range(20_000)]


def assert_same_texts(site: Site) -> int:
    """Assert that each document is what independent code writes; return how many there are."""
    name = site.definition.name
    found = texts_in(site)
    wanted = {id_: text_of(one, name) for id_, one in site.expected().items()}
    assert found.keys() == wanted.keys()
    for id_, text in wanted.items():
        assert found[id_] == text
    return len(wanted)


@each_index
def test_documents_are_what_other_code_writes_byte_for_byte(loaded: Site) -> None:
    awkward = 'quote " backslash \\ tab \t newline \n \b \f \x01 \x1f \x7f \u2028 \u0451 \U0001f600'
    loaded.add_root(awkward, modified="now()")
    loaded.run()
    assert assert_same_texts(loaded) >= 3


@pytest.mark.long
def test_all_of_the_sample_catalogue_is_what_other_code_writes_byte_for_byte(site: Site) -> None:
    with site.connection.transaction():
        assert catalogue.load(site.connection, films()) == 17_472
    site.execute("ANALYZE")
    compared = {}
    for definition in INDEXES:
        own = Site(site.dsn, site.connection, site.client, definition)
        try:
            own.run()
            compared[definition.name] = assert_same_texts(own)
        finally:
            own.close()
    assert compared == {"movies": 17_472, "genres": 21, "persons": 63_706}


def sampled(passes: int) -> set[str]:
    """Return the documents of which the whole text is compared so many passes later."""
    began = (BEGAN + passes * PASS_TAKES).isoformat(timespec="microseconds")
    return {id_ for id_ in IDS if is_sampled(id_, began)}


def test_one_of_a_hundred_texts_is_compared_whole_in_each_pass_and_each_within_a_hundred() -> None:
    passes = [sampled(number) for number in range(SAMPLED_ONE_OF)]
    for one in passes:
        assert 0.007 * len(IDS) < len(one) < 0.013 * len(IDS)
    times = Counter(id_ for one in passes for id_ in one)
    assert times == Counter(IDS)


def one_of_each_class() -> list[str]:
    """Return a hundred ids, of which each pass compares one."""
    found: dict[int, str] = {}
    for id_ in IDS:
        found.setdefault(zlib.crc32(id_.encode()) % SAMPLED_ONE_OF, id_)
    return sorted(found.values())


@each_index
def test_a_document_that_was_changed_is_found_by_its_text_though_its_checksum_is_the_rows(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred were changed by hand: each pass finds the one of its share."""
    ids = one_of_each_class()
    for id_ in ids:
        site.add_root(f"Row {id_}", id=id_)
    site.run()
    site.reconcile("presence", "touched")
    changed = [
        line
        for id_ in ids
        for line in ({"update": {"_id": id_}}, {"doc": {site.text: "Changed by hand"}})
    ]
    site.client.bulk(index=site.definition.alias, operations=changed, refresh=True)
    right: set[str] = set()
    for passes in (0, 1):

        def later(id_: str, began: str, passes: int = passes) -> bool:
            at = datetime.fromisoformat(began) + passes * PASS_TAKES
            return is_sampled(id_, at.isoformat())

        monkeypatch.setattr(contents, "is_sampled", later)
        result = site.reconcile("contents", full=True)["contents"]
        assert (result["looked_at"], result["different"], result["repaired"]) == (100, 1, 1)
        state = site.reconciled.load()
        assert state
        right |= {id_ for id_ in ids if later(id_, str(state.verified_at))}
        found = {id_ for id_, one in site.documents().items() if one[site.text] == f"Row {id_}"}
        assert (len(found), found) == (passes + 1, right)
