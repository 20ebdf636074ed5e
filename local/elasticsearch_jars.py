"""The jars of the Elasticsearch node: fetched from Maven Central, checked against a fixed list.

`elasticsearch_node/jars.sha256` is the lock: one `sha256  path-in-a-Maven-repository` a line, in
the form that `sha256sum --check` reads. `python -m local.elasticsearch_jars` writes it anew after a
change of VERSION.
"""

from __future__ import annotations

import fcntl
import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.certificates import trust_the_system
from local.files import CACHE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VERSION = "8.19.21"
LOCK = Path(__file__).parent / "elasticsearch_node" / "jars.sha256"
_ROOTS = (
    f"org.elasticsearch:elasticsearch:jar:{VERSION}:compile",
    f"org.elasticsearch.plugin:transport-netty4:jar:{VERSION}:compile",
)
_COMPILER = ("org.eclipse.jdt", "ecj", "3.40.0")


class JarsError(RuntimeError):
    """Jars could not be fetched, or are not those of the list."""


def locked() -> dict[str, str]:
    """Return the lock: path in a Maven repository -> sha256."""
    lines = (line.split() for line in LOCK.read_text().splitlines())
    return {path: digest for digest, path in lines}


def fetch(cache: Path, report: Callable[[str], None]) -> list[Path]:
    """Return the paths of all locked jars in the cache, fetching what is missing or differs.

    Several processes may call it at once. Raises JarsError.
    """
    repository = cache / "maven"
    repository.mkdir(parents=True, exist_ok=True)
    with alone(cache / "maven.lock"):
        if wrong := _wrong(repository):
            report(f"fetching {len(wrong)} jars of Elasticsearch {VERSION}")
            _download(repository, wrong, report)
        if wrong := _wrong(repository):
            msg = (
                f"{len(wrong)} jars differ from {LOCK.name} after a download, {wrong[0]} for one: "
                "something between here and Maven Central alters or truncates files"
            )
            raise JarsError(msg)
    return [repository / path for path in locked()]


def _wrong(repository: Path) -> list[str]:
    """Return the locked jars that are missing or differ, and delete those that differ."""
    wrong = []
    for path, digest in locked().items():
        file = repository / path
        if file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            file.unlink()
        if not file.exists():
            wrong.append(path)
    return wrong


def _download(repository: Path, paths: list[str], report: Callable[[str], None]) -> None:
    context = _maven(repository)

    def one(path: str) -> None:
        group, name, version, _ = path.rsplit("/", 3)
        context.project(group.replace("/", "."), name).at_version(version).artifact().resolve()

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(one, path) for path in paths]
        for number, job in enumerate(jobs, 1):
            try:
                job.result()
            except Exception as error:
                pool.shutdown(cancel_futures=True)
                msg = f"could not fetch {paths[number - 1]} from Maven Central: {error}"
                raise JarsError(msg) from error
            if number % 16 == 0:
                report(f"fetched {number} of {len(paths)} jars")


def _maven(repository: Path) -> Any:  # noqa: ANN401 - jgo has no types
    from jgo.maven import MavenContext  # noqa: PLC0415 - slow, and seldom needed

    trust_the_system()
    return MavenContext(repo_cache=repository, local_repos=[], timeout=60)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process at a time do the block, by a lock on this file."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_lock(repository: Path) -> None:
    """Resolve the dependencies of VERSION and write the list of jars."""
    context = _maven(repository)
    roots = [context.create_dependency(root) for root in _ROOTS]
    _, transitive = context.resolver.resolve(roots)
    needed = [*roots, *(jar for jar in transitive if jar.scope in {"compile", "runtime"})]
    group, name, version = _COMPILER
    artifacts = [jar.artifact for jar in needed]
    artifacts.append(context.project(group, name).at_version(version).artifact())
    files = sorted(Path(artifact.resolve()) for artifact in artifacts)
    LOCK.write_text(
        "".join(
            f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(repository)}\n"
            for file in files
        )
    )


if __name__ == "__main__":
    write_lock(CACHE / "maven")
