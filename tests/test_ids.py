"""Sets of ids that may be larger than memory."""

from __future__ import annotations

import resource

import pytest
from movies_etl.errors import ConfigurationError
from movies_etl.sync import ids as module
from movies_etl.sync.ids import Ids


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDS_PER_READ", 2)


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


def test_a_temporary_file_without_room_is_told_with_what_helps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MEMORY_KILOBYTES", 1)
    monkeypatch.setattr(module, "IDS_PER_READ", 1000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(ConfigurationError, match="environment variable TMPDIR"):
            Ids(f"{number:036}" for number in range(20_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_ids_that_come_or_go_while_they_are_read_harm_nothing() -> None:
    ids, seen = Ids("bdfh"), []
    for one in ids:
        seen.append(one)
        ids.difference_update([one])
        ids.update(["g"] if one == "d" else [])
    assert seen == [*"bdfgh"]
