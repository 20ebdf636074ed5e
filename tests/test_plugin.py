"""What Airflow makes of the folder plugins/: one file scanned, nothing shadowed, no Airflow inside.

Airflow executes every file that it scans and registers it under its bare stem in every process: a
helper named like a library would replace that library.
"""

from __future__ import annotations

import ast
import importlib.machinery
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from airflow._shared.module_loading import find_path_from_directory
from airflow._shared.plugins_manager.plugins_manager import _load_plugins_from_plugin_directory
from movies_etl import __version__

from tests.conftest import ROOT

PLUGINS = ROOT / "plugins"
MODULES = sorted(PLUGINS.rglob("*.py"))
PROGRAM = sorted((PLUGINS / "movies_etl").rglob("*.py"))

FOUNDATION = {"__version__", "errors", "settings", "retries", "steps"}
MAY_USE = {
    "": set(),
    "errors": set(),
    "settings": {"errors"},
    "retries": {"errors"},
    "steps": set(),
    "definitions": FOUNDATION,
    "state": FOUNDATION | {"definitions"},
    "postgres": FOUNDATION | {"definitions", "state"},
    "es": FOUNDATION | {"definitions", "state"},
    "sync": FOUNDATION | {"definitions", "state", "postgres", "es"},
    "reconcile": FOUNDATION | {"definitions", "state", "postgres", "es", "sync"},
    "page": FOUNDATION | {"definitions", "state", "postgres", "es"},
    "follow": FOUNDATION | {"definitions", "state", "postgres", "es", "sync", "reconcile"},
    "rebuild": FOUNDATION | {"definitions", "state", "postgres", "es", "sync", "reconcile"},
    "airflow": FOUNDATION
    | {"definitions", "state", "postgres", "es", "sync", "reconcile", "follow", "rebuild", "page"},
}
"""The import law: the rooms that a room may use. The package's own docstring tells it, too."""


def scanned(folder: Path = PLUGINS, syntax: str = "glob") -> list[Path]:
    found = map(Path, find_path_from_directory(str(folder), ".airflowignore", syntax))
    return [path for path in found if path.suffix == ".py"]


def imported(path: Path) -> set[str]:
    """Return the dotted names of the modules that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def dotted(path: Path) -> str:
    """Return a module's name as it is imported."""
    return ".".join(path.relative_to(PLUGINS).with_suffix("").parts).removesuffix(".__init__")


def room_of(name: str) -> str:
    """Return the room of a module of the program; empty for the package itself."""
    return f"{name}.".split(".")[1]


@pytest.mark.parametrize("syntax", ["glob", "regexp"])  # [core] dag_ignore_file_syntax
def test_only_the_file_with_the_plugin_is_scanned(syntax: str) -> None:
    assert [path.name for path in scanned(syntax=syntax)] == ["movies_etl_plugin.py"]


def test_no_plugin_is_in_a_file_that_is_not_scanned() -> None:
    with_plugin = [
        path
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and any("AirflowPlugin" in ast.unparse(base) for base in node.bases)
    ]
    assert with_plugin == scanned()


def test_the_plugin_loads_without_errors() -> None:
    plugins, import_errors = _load_plugins_from_plugin_directory(str(PLUGINS))
    assert import_errors == {}
    assert [plugin.name for plugin in plugins] == [f"movies_etl {__version__}"]


def test_the_version_is_that_of_the_project_and_the_changelog_tells_of_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__
    changelog = (ROOT / "CHANGELOG.md").read_text()
    latest = re.search(r"^(?:## |This will be )(\d+\.\d+\.\d+)", changelog, re.MULTILINE)
    assert latest
    assert latest[1] == __version__


@pytest.mark.parametrize("path", scanned(), ids=lambda path: path.stem)
def test_no_scanned_file_is_named_like_a_module_that_is_installed(path: Path) -> None:
    elsewhere = [entry for entry in sys.path if Path(entry or ".").resolve() != PLUGINS]
    assert path.stem not in sys.stdlib_module_names
    assert importlib.machinery.PathFinder.find_spec(path.stem, elsewhere) is None


@pytest.mark.parametrize("syntax", ["glob", "regexp"])
def test_a_neighbours_plugin_in_the_same_folder_is_still_found(tmp_path: Path, syntax: str) -> None:
    shared = tmp_path / "plugins"
    shutil.copytree(PLUGINS, shared)
    (shared / "hooks").mkdir()
    (shared / "hooks" / "company_hook.py").touch()
    (shared / "company_plugin.py").write_text(
        "from airflow.plugins_manager import AirflowPlugin\n"
        "class Company(AirflowPlugin):\n    name = 'company'\n"
    )
    names = {path.name for path in scanned(shared, syntax)}
    assert names == {"company_hook.py", "company_plugin.py", "movies_etl_plugin.py"}
    plugins, import_errors = _load_plugins_from_plugin_directory(
        str(shared), ignore_file_syntax=syntax
    )
    assert import_errors == {}
    assert {plugin.name for plugin in plugins} == {"company", f"movies_etl {__version__}"}


@pytest.mark.parametrize("path", PROGRAM, ids=dotted)
def test_a_room_uses_only_rooms_above_it(path: Path) -> None:
    room = room_of(dotted(path))
    used = {room_of(name) for name in imported(path) if name.startswith("movies_etl.")}
    assert used <= MAY_USE[room] | {room}


@pytest.mark.parametrize("path", PROGRAM, ids=dotted)
def test_only_the_room_airflow_imports_airflow(path: Path) -> None:
    uses_airflow = any(name.partition(".")[0] == "airflow" for name in imported(path))
    assert uses_airflow <= (room_of(dotted(path)) == "airflow")


def test_the_program_works_where_airflow_is_not_installed() -> None:
    modules = [dotted(path) for path in PROGRAM if room_of(dotted(path)) != "airflow"]
    program = (
        "import importlib, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "sys.modules['airflow'] = None\n"
        "for name in sys.argv[2:]: importlib.import_module(name)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, PLUGINS, *modules],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.stderr == ""
    assert answer.returncode == 0
    assert len(modules) > 10
