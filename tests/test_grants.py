"""``grants.sql``: it is enough, each of its grants is needed, and the role may not write."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest
from movies_etl.definitions.registry import declared
from movies_etl.errors import ConfigurationError

from local.catalogue import statements
from local.postgres import Postgres
from tests.support.indices import each_index
from tests.support.rebuild import Rebuild
from tests.support.servers import ROOT
from tests.support.site import Site

ROLE = "movies_etl"
GRANTS = statements((ROOT / "include/sql/setup/grants.sql").read_text())
TABLES = ("film_work", "genre", "person", "genre_film_work", "person_film_work")


@pytest.fixture
def role(small: Site, postgres: Postgres) -> Iterator[Site]:
    """The small site, which the program reads as a role without any right."""
    postgres.createuser(ROLE)
    small.read_as(ROLE)
    yield small
    small.execute(f"DROP OWNED BY {ROLE}")
    small.execute(f"REVOKE pg_read_all_stats FROM {ROLE}")


@pytest.fixture
def granted(role: Site) -> Site:
    """The same after grants.sql, which may run twice."""
    for statement in GRANTS * 2:
        role.execute(statement)
    return role


@pytest.mark.long
@each_index
def test_the_role_is_enough_for_every_run(granted: Site) -> None:
    granted.run_and_check()
    granted.assert_equal()
    granted.change("Changed")
    granted.execute(f"DELETE FROM content.{granted.table} WHERE id = %s", min(granted.documents()))
    granted.execute("SELECT pg_stat_force_next_flush()")
    assert granted.run_and_check()["deleted"] == 1
    granted.assert_equal()
    granted.reconcile(full=True)
    Rebuild(granted).run()
    granted.assert_equal()
    activity = granted.source().server.activity()
    assert not activity.hidden


@pytest.mark.parametrize("left_out", [one for one in GRANTS if "content" in one])
def test_a_grant_that_is_left_out_is_told(role: Site, left_out: str) -> None:
    for statement in GRANTS:
        if statement != left_out:
            role.execute(statement)
    with pytest.raises(ConfigurationError) as caught:
        role.run()
    assert left_out in str(caught.value)


def test_the_role_cannot_write(granted: Site) -> None:
    with psycopg.connect(granted.dsn, user=ROLE, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM content.film_work").fetchone() == (7,)
        for statement in (
            *(f"INSERT INTO content.{table} DEFAULT VALUES" for table in TABLES),
            *(f"UPDATE content.{table} SET id = id" for table in TABLES),
            *(f"DELETE FROM content.{table}" for table in TABLES),
            *(f"TRUNCATE content.{table}" for table in TABLES),
            *(f"SELECT FROM content.{table} FOR UPDATE" for table in TABLES),
            "CREATE TABLE content.mine (id int)",
            "CREATE TABLE public.mine (id int)",
            "CREATE SCHEMA mine",
            "CREATE ROLE mine",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_the_role_in_elasticsearch_has_the_declared_indices() -> None:
    role = json.loads((ROOT / "include/elasticsearch/setup/role.json").read_text())
    (indices,) = role["indices"]
    assert set(indices["names"]) == {f"{definition.alias}*" for definition in declared().values()}
