"""Sets of ids that may be larger than memory."""

from __future__ import annotations

import pytest
from movies_etl.sync import ids as module
from movies_etl.sync.ids import Ids


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOGETHER", 2)


def test_ids_are_there_once_and_in_the_order_of_their_bytes() -> None:
    odd = ["b", "\ufffd", "a", "\U0001f600", "B", "", "a", "a b", "\0", 'a"']
    ids = Ids(odd)
    ids.update(odd[:3])
    assert [*ids] == sorted(set(odd), key=str.encode)
    assert len(ids) == len(set(odd))
    assert "a" in ids
    assert "c" not in ids
    assert ids == Ids(reversed(odd))


def test_ids_are_taken_away_and_put_back() -> None:
    ids = Ids()
    ids.difference_update(["a"])
    assert [*ids] == []
    ids.update("abcde")
    ids.difference_update(["a", "c", "e", "x"])
    assert [*ids] == ["b", "d"]
    ids.clear()
    assert not ids
    ids.update(["z"])
    assert [*ids] == ["z"]


def test_ids_that_come_or_go_while_they_are_read_harm_nothing() -> None:
    ids, seen = Ids("bdfh"), []
    for one in ids:
        seen.append(one)
        ids.difference_update([one])
        ids.update(["g"] if one == "d" else [])
    assert seen == [*"bdfgh"]
