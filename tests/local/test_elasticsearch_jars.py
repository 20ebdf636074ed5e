"""The jars are those of the committed list, whatever was downloaded."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from local import elasticsearch_jars as jars

GOOD = b"the jar"
PATH = "org/example/thing/1.0/thing-1.0.jar"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and a list of one jar."""
    lock = tmp_path / "jars.sha256"
    lock.write_text(f"{hashlib.sha256(GOOD).hexdigest()}  {PATH}\n")
    monkeypatch.setattr(jars, "LOCK", lock)
    return tmp_path / "cache"


def downloads(monkeypatch: pytest.MonkeyPatch, content: bytes) -> list[list[str]]:
    """Let downloads bring this content; return what was asked for."""
    asked: list[list[str]] = []

    def bring(repository: Path, paths: list[str], _: object) -> None:
        asked.append(paths)
        for path in paths:
            (repository / path).parent.mkdir(parents=True, exist_ok=True)
            (repository / path).write_bytes(content)

    monkeypatch.setattr(jars, "_download", bring)
    return asked


def test_the_committed_list_pins_the_node() -> None:
    locked = jars.locked()
    assert len(locked) == 48
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in locked.values())
    assert f"org/elasticsearch/elasticsearch/{jars.VERSION}/elasticsearch-{jars.VERSION}.jar" in (
        locked
    )


def test_a_jar_is_fetched_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = downloads(monkeypatch, GOOD)
    for _ in range(2):
        assert [path.read_bytes() for path in jars.fetch(cache, print)] == [GOOD]
    assert asked == [[PATH]]


def test_a_damaged_jar_is_fetched_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = downloads(monkeypatch, GOOD)
    (path,) = jars.fetch(cache, print)
    path.write_bytes(GOOD[:3])  # an interrupted download
    assert jars.fetch(cache, print)[0].read_bytes() == GOOD
    assert asked == [[PATH], [PATH]]


def test_a_wrong_jar_is_an_error_and_is_not_kept(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads(monkeypatch, b"another jar")
    with pytest.raises(jars.JarsError, match=re.escape(PATH)):
        jars.fetch(cache, print)
    assert not (cache / "maven" / PATH).exists()
