"""What Airflow makes of the folder plugins/: one file scanned, nothing shadowed, no Airflow inside.

Airflow executes every file that it scans and registers it under its bare stem in every process: a
helper named like a library would replace that library.
"""

from __future__ import annotations

import ast
import importlib.machinery
import subprocess
import sys
from pathlib import Path

import pytest
from airflow._shared.module_loading import find_path_from_directory
from airflow._shared.plugins_manager.plugins_manager import _load_plugins_from_plugin_directory

from tests.conftest import ROOT

PLUGINS = ROOT / "plugins"
MODULES = sorted(path for path in PLUGINS.rglob("*.py"))
PROGRAM = sorted(path for path in MODULES if path.parent.name == "movies_etl")


def scanned() -> list[Path]:
    found = map(Path, find_path_from_directory(str(PLUGINS), ".airflowignore", "glob"))
    return [path for path in found if path.suffix == ".py"]


def imported(path: Path) -> set[str]:
    """Return the top-level names of the modules that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_only_the_file_with_the_plugin_is_scanned() -> None:
    assert [path.name for path in scanned()] == ["movies_etl_plugin.py"]


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
    assert [plugin.name for plugin in plugins] == ["movies_etl"]


@pytest.mark.parametrize("stem", sorted({path.stem for path in MODULES} - {"__init__"}))
def test_no_module_is_named_like_one_that_is_installed(stem: str) -> None:
    elsewhere = [path for path in sys.path if Path(path or ".").resolve() != PLUGINS]
    assert stem not in sys.stdlib_module_names
    assert importlib.machinery.PathFinder.find_spec(stem, elsewhere) is None


@pytest.mark.parametrize("path", PROGRAM, ids=lambda path: path.stem)
def test_only_modules_that_say_so_import_airflow(path: Path) -> None:
    assert ("airflow" in imported(path)) <= path.stem.startswith("airflow_")


def test_the_program_works_where_airflow_is_not_installed() -> None:
    modules = [
        f"movies_etl.{path.stem}"
        for path in PROGRAM
        if not path.stem.startswith(("airflow_", "__"))
    ]
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
