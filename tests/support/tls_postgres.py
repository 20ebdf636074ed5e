"""A PostgreSQL that speaks TLS, for tests: the local stack's has been built without OpenSSL."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import datetime

import psycopg

from local.processes import wait_until
from tests.support.certificates import Certificate
from tests.support.postgres_of_maven import PostgresOfMaven


class TlsPostgres(PostgresOfMaven):
    """One PostgreSQL server on 127.0.0.1 that lets others than the superuser in by SCRAM and TLS.

    The superuser needs neither, so that tests can look behind the door.
    """

    def present(self, certificate: Certificate) -> None:
        """Show this certificate from the next connection on."""
        cluster = self._place.cluster
        for name, file in (
            ("server.crt", certificate.certificate),
            ("server.key", certificate.key),
        ):
            (cluster / name).unlink(missing_ok=True)
            shutil.copy(file, cluster / name)
            (cluster / name).chmod(0o600)
            shutil.chown(cluster / name, cluster.stat().st_uid, cluster.stat().st_gid)
        self.configure("ALTER SYSTEM SET ssl = on")

    def configure(self, statement: str = "SELECT 1") -> None:
        """Run a statement, read the configuration again, and wait until newcomers meet it."""
        with closing(psycopg.connect(self.dsn(), autocommit=True)) as connection:
            before = self._configured()
            connection.execute(statement.encode())
            connection.execute("SELECT pg_reload_conf()")
        wait_until(lambda: self._configured() > before, seconds=60, what="it is read again")

    def _configured(self) -> datetime:
        """Return when what a newcomer meets was read."""
        with closing(psycopg.connect(self.dsn())) as connection:
            found = connection.execute("SELECT pg_conf_load_time()").fetchone()
        assert found is not None
        moment: datetime = found[0]
        return moment

    def start(self) -> None:
        """Start the server; clients by TCP need TLS and a password, the superuser nothing."""
        super().start()
        rules = self._place.cluster / "pg_hba.conf"
        rules.write_text(
            "host all postgres 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
        )
        self.configure()
