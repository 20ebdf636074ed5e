from __future__ import annotations

import pytest

from benchmarks import unprotected
from tests.support.site import Site


def test_the_program_without_protections_loads_the_same_films(
    small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner, name, _ in unprotected.SUBSTITUTES:
        monkeypatch.setattr(owner, name, getattr(owner, name))  # put back after the test
    unprotected.patch()
    small.run()
    small.assert_equal()
    answer = small.client.search(index="movies", size=100)
    assert {hit["_source"]["checksum"] for hit in answer["hits"]["hits"]} == {0}
    assert set(small.versions().values()) == {1}  # no external ones
