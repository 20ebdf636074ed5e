"""The fuse for refused documents, over several changes that one task loads. No servers."""

from __future__ import annotations

import pytest
from movies_etl.errors import RefusedDocumentsError
from movies_etl.es.letters import Letter
from movies_etl.sync.fuse import FUSE_REFUSALS, Fuse


def letters(number: int) -> list[Letter]:
    return [Letter(f"f{one}", "indexing", "no such field", "{}") for one in range(number)]


@pytest.fixture
def fuse() -> Fuse:
    return Fuse("film", "movies-1")


def test_documents_accepted_beside_them_let_refused_ones_pass(fuse: Fuse) -> None:
    fuse.accept(1)
    fuse.refuse(letters(FUSE_REFUSALS))


def test_documents_accepted_with_an_earlier_change_do_not(fuse: Fuse) -> None:
    fuse.refuse(letters(FUSE_REFUSALS - 1))
    fuse.accept(1)
    fuse.begin_anew()
    fuse.refuse(letters(FUSE_REFUSALS - 1))
    with pytest.raises(RefusedDocumentsError, match=f"{FUSE_REFUSALS} documents were refused"):
        fuse.refuse(letters(1))


def test_single_refusals_in_a_row_are_counted_together(fuse: Fuse) -> None:
    for _ in range(FUSE_REFUSALS - 1):
        fuse.begin_anew()
        fuse.refuse(letters(1))
    fuse.begin_anew()
    with pytest.raises(RefusedDocumentsError):
        fuse.refuse(letters(1))
