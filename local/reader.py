"""How the sync gets at the catalogue and the index: its role, and Airflow's two connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Mapping

DATABASE = "movies"
READER = "movies_etl"
_GRANTS = (
    f"GRANT pg_read_all_stats TO {READER}",
    f"GRANT USAGE ON SCHEMA content TO {READER}",
    f"GRANT SELECT ON ALL TABLES IN SCHEMA content TO {READER}",
    f"ALTER DEFAULT PRIVILEGES IN SCHEMA content GRANT SELECT ON TABLES TO {READER}",
)


def let_read(dsn: str) -> None:
    """Let the role, which exists, read the catalogue.

    :param dsn: the catalogue, as superuser.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        for grant in _GRANTS:
            connection.execute(grant.encode())


def connections(*, postgres: int, elasticsearch: int) -> Mapping[str, Mapping[str, object]]:
    """Return Airflow's connections by id, to servers on these ports of this machine."""
    here = "127.0.0.1"
    return {
        "movies_postgres": {
            "conn_type": "postgres",
            "host": here,
            "port": postgres,
            "login": READER,
            "schema": DATABASE,
        },
        "movies_elasticsearch": {
            "conn_type": "elasticsearch",
            "host": here,
            "port": elasticsearch,
            "schema": "http",
        },
    }
