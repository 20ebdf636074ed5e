"""A part of the sample in a database of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local import catalogue
from local.films import Film, films
from local.postgres import Postgres

DATABASE = "local_catalogue"
NUMBER = 400


@pytest.fixture(scope="module")
def some_films() -> list[Film]:
    """The first films of the data."""
    return films()[:NUMBER]


@pytest.fixture
def dsn(postgres: Postgres) -> Iterator[str]:
    """A database of nothing."""
    postgres.dropdb(DATABASE)
    postgres.createdb(DATABASE)
    yield postgres.dsn(DATABASE)
    postgres.dropdb(DATABASE)


@pytest.fixture
def filled(dsn: str, some_films: list[Film], monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with some films."""
    monkeypatch.setattr(catalogue, "films", lambda: some_films)
    assert catalogue.prepare(dsn) == NUMBER
    return dsn
