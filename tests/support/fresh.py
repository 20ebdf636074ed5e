"""A database that every test finds empty, made anew only when a test has altered it."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from local.postgres import Postgres

_CATALOGUES = (
    *("pg_namespace", "pg_class", "pg_attribute", "pg_attrdef", "pg_constraint", "pg_index"),
    *("pg_type", "pg_enum", "pg_proc", "pg_trigger", "pg_policy", "pg_rewrite", "pg_depend"),
    *("pg_default_acl", "pg_db_role_setting", "pg_collation", "pg_publication"),
)
"""Where PostgreSQL notes each change of what a database is, other than of its rows."""

_STATE = sql.SQL(" UNION ALL ").join(
    sql.SQL("SELECT {}, count(*), max(xmin::text::bigint) FROM {}").format(
        catalogue, sql.Identifier(catalogue)
    )
    for catalogue in _CATALOGUES
)


class FreshDatabase:
    """Gives out one database again and again: deleting its rows is faster than copying it.

    :param template: the database that it is a copy of.
    """

    def __init__(self, server: Postgres, name: str, template: str) -> None:
        self._server = server
        self._name = name
        self._template = template
        self._as_made: list[tuple[Any, ...]] = []

    def emptied(self) -> str:
        """Return the DSN of the database, as its template and without sessions."""
        if not self._is_emptied():
            self._server.dropdb(self._name)
            self._server.createdb(self._name, template=self._template)
            with self._connect() as connection:
                self._as_made = connection.execute(_STATE).fetchall()
        return self._server.dsn(self._name)

    def allow_reading(self, role: str) -> None:
        """Let a role read every table; that is noted with the role, not in the database."""
        with psycopg.connect(self._server.dsn(), autocommit=True) as connection:
            connection.execute(sql.SQL("GRANT pg_read_all_data TO {}").format(sql.Identifier(role)))

    def _is_emptied(self) -> bool:
        """Delete the rows; return False when more than rows was changed."""
        try:
            with self._connect() as connection:
                _end_prepared(connection)  # their locks would be waited for
                connection.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE"
                    " datname = current_database() AND pid <> pg_backend_pid()"
                )
                if not self._as_made or connection.execute(_STATE).fetchall() != self._as_made:
                    return False
                for table in ("film_work", "genre", "person"):  # links are deleted with them
                    connection.execute(
                        sql.SQL("DELETE FROM content.{}").format(sql.Identifier(table))
                    )
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._server.dsn(self._name), autocommit=True)


def _end_prepared(connection: psycopg.Connection[Any]) -> None:
    """Roll back what an interrupted test left prepared."""
    for (gid,) in connection.execute(
        "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"
    ).fetchall():
        connection.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(gid)))
