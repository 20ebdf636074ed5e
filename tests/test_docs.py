"""What README and docs name exists, and each command that they show is run by a test."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from movies_etl.definitions.registry import declared
from movies_etl.settings import PREFIX, Settings, variable

from tests.simulation.breaks import BREAKS
from tests.support.pages import files_of
from tests.support.servers import ROOT

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "tests" / "README.md",
        ROOT / "benchmarks" / "README.md",
    ]
)
RULES = (ROOT / "docs" / "rules.md").read_text()
README = (ROOT / "README.md").read_text()
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def links(path: Path) -> list[tuple[str, str]]:
    """Return text and address of each link that leads to a file."""
    return [
        (text, address.partition("#")[0])
        for text, address in LINK.findall(path.read_text())
        if "://" not in address and not address.startswith("#")
    ]


@cache
def defined(path: Path) -> set[str]:
    """Return the dotted names that a module defines."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        for target in node.targets if isinstance(node, ast.Assign) else [node]:
            name = getattr(target, "name", getattr(target, "id", None))
            if name:
                names.add(name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{one.name}" for one in node.body if hasattr(one, "name")}
    return names


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_file_that_is_linked_exists(path: Path) -> None:
    missing = [address for _, address in links(path) if not (path.parent / address).exists()]
    assert missing == []


def headings(page: Path) -> set[str]:
    """Return the addresses of a page's headings, as GitHub and others make them."""
    found = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in found}


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_heading_that_is_linked_exists(path: Path) -> None:
    addresses = [
        one.partition("#") for _, one in LINK.findall(path.read_text()) if "://" not in one
    ]
    missing = [
        f"{file}#{heading}"
        for file, _, heading in addresses
        if heading and heading not in headings(path.parent / file if file else path)
    ]
    assert missing == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_function_that_is_linked_is_defined_in_its_file(path: Path) -> None:
    missing = [
        f"{text} in {address}"
        for text, address in links(path)
        if address.endswith(".py")
        and (name := re.fullmatch(r"`([A-Za-z_]\w*(?:\.\w+)?)`", text))
        and not text.endswith(".py`")
        and name[1] not in defined(path.parent / address)
    ]
    assert missing == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_path_that_is_named_exists(path: Path) -> None:
    folders = "dags|plugins|include|docs|tests|local|benchmarks|containers"
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", path.read_text())
    made = files_of(path)
    assert [one for one in named if one not in made and not (ROOT / one).exists()] == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_setting_that_is_named_exists(path: Path) -> None:
    known = {variable(name) for name in Settings.model_fields}
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", path.read_text()))
    assert named - known == set()


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_variable_that_is_named_exists(path: Path) -> None:
    known = set()
    for definition in declared().values():
        known |= {definition.cursor_variable(stream.name) for stream in definition.streams}
        known |= {definition.horizon_variable, f"{definition.horizon_variable}.epochs"}
        known |= {
            definition.difference_variable,
            definition.notices_variable,
            definition.layout_variable,
        }
    named = re.findall(
        r"`(movies_etl\.[a-z_.]*(?:cursor|horizon|difference|notices|layout)[a-z_.]*)`",
        path.read_text(),
    )
    assert [one for one in named if one.rstrip(".") not in known] == []


def test_the_table_of_settings_has_each_setting_with_its_default() -> None:
    rows = re.findall(rf"^\| `({PREFIX}\w+)` \|([^|]*)\|", README, flags=re.MULTILINE)
    told = {name: default.strip().strip("`") for name, default in rows}
    assert told.keys() == {variable(name) for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, float):
            default = f"{default:g}"
        elif isinstance(default, tuple):
            default = ",".join(default)
        if name != "include_dir":
            assert told[variable(name)] == str(default), name


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for path in PAGES:
        for named in re.findall(r"`make ([a-z-]+)", path.read_text()):
            assert named in targets, f"{name_of(path)}: make {named}"


def test_every_rule_has_a_break_and_every_break_a_rule() -> None:
    named: dict[str, set[str]] = {}
    for rule in re.split(r"^## ", RULES, flags=re.MULTILINE)[1:]:
        number = rule.partition(".")[0]
        said = re.search(r"Breaks: ([^.]*)\.", rule)
        assert said, f"rule {number} names no break"
        named[number] = set(re.findall(r"`([\w-]+)`", said[1]))
    assert set().union(*named.values()) == set(BREAKS)
    for number, breaks in named.items():
        assert {one.partition("-")[0] for one in breaks} == {number}


def test_readme_says_how_many_rules_and_breaks_there_are() -> None:
    rules = re.search(r"the (\d+) \[rules\]", README)
    breaks = re.search(r"more\s+than\s+(\d+)\s+breaks", README)
    assert rules
    assert breaks
    assert int(rules[1]) == len(re.findall(r"^## \d+\. ", RULES, flags=re.MULTILINE))
    assert int(breaks[1]) < len(BREAKS) <= int(breaks[1]) + 10


OF_THE_MODEL = {"6"}
"""Breaks that are no break of the program over a real PostgreSQL."""


def test_every_break_is_noticed_by_an_example_test_that_its_rule_names() -> None:
    found = set()
    for rule in re.split(r"^## ", RULES, flags=re.MULTILINE)[1:]:
        number = rule.partition(".")[0]
        for name in re.findall(r"\]\(\.\./tests/(test_\w+\.py)\)", rule):
            text = (ROOT / "tests" / name).read_text()
            for marked in re.findall(r"^@notices\((.*)\)$", text, flags=re.MULTILINE):
                breaks = re.findall(r'"([\w-]+)"', marked)
                found |= {one for one in breaks if one.partition("-")[0] == number}
    assert found == set(BREAKS) - OF_THE_MODEL


TRIGGER = "airflow dags trigger movies_sync --conf "
RUN_BY = {
    "git clone ADDRESS movies-etl && cd movies-etl": "tests/test_docs.py",
    "make run": "the whole stack, looked at by hand; tests/test_scheduler.py runs its parts",
    "make test": "CI, by make test-all",
    "make soak BREAK=8": "tests/test_soak.py",
    "make bench": "tests/benchmarks/test_command_line.py, with few films",
    "make bench FILMS=1000000 ONLY=load": "tests/benchmarks/test_command_line.py, with few films",
    "make bench FILMS=1000000 ONLY=reindex": "by hand; tests/benchmarks/test_dag.py reads its DAG",
    ".venv/bin/python -m pytest tests/test_sync.py": "CI, by make test-all",
    ".venv/bin/python -m pytest tests/test_sync.py -k person_arrive": "CI, by make test-all",
    ".venv/bin/python -m pytest -m long": "CI, by make test-all",
    ".venv/bin/python -m pytest -m soak": "make soak",
    ".venv/bin/python -m tests.simulation --help": "tests/test_docs.py",
    TRIGGER + """'{"reload": "all"}'""": "tests/test_scheduler.py",
    TRIGGER + """'{"ids": ["3d825f60-9fff-4dfe-b294-1a45fa1e115d"]}'""": "tests/test_scheduler.py",
    ".venv/bin/python -m local sql feed/fan_out genre --index decades": (
        "tests/test_add_an_index.py"
    ),
    "rm -r include/sql/decades include/elasticsearch/decades.json": "tests/test_add_an_index.py",
    "rm plugins/movies_etl/definitions/decades.py dags/decades_*.py": "tests/test_add_an_index.py",
    "airflow db clean --clean-before-timestamp "
    """"$(date -u -d '7 days ago' +%Y-%m-%dT%H:%M:%S+00:00)" --skip-archive --yes""": (
        "tests/local/test_airflow_cleaning.py"
    ),
    "airflow variables export movies-etl-variables.json": "tests/test_scheduler.py",
    "airflow variables import movies-etl-variables.json": "tests/test_scheduler.py",
    "cp .env.example .env": "tests/containers/test_development.py, with ports of its own",
    "docker compose up --build --detach --wait": "tests/containers/test_development.py",
    "docker compose exec airflow-scheduler airflow dags trigger movies_sync": (
        "tests/containers/test_development.py"
    ),
    "docker compose down": "tests/containers/test_development.py",
}
"""Each command of a block ``sh`` in README and docs, and what runs it."""


def commands(path: Path) -> list[str]:
    """Return the commands of a page's shell blocks, without their comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.partition("  #")[0].strip() for line in lines if line.strip()]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_command_that_is_shown_is_run_by_a_test(path: Path) -> None:
    shown = [one for one in commands(path) if not one.startswith(("AIRFLOW_CONN_", '"schema"'))]
    assert [one for one in shown if one not in RUN_BY] == []


def test_every_command_of_the_list_is_shown_and_its_test_exists() -> None:
    shown = {one for path in PAGES for one in commands(path)}
    assert set(RUN_BY) - shown == set()
    for told in RUN_BY.values():
        for name in re.findall(r"tests/[\w/]+\.py", told):
            assert (ROOT / name).is_file()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no checkout")
def test_a_clone_knows_the_commands_of_make(tmp_path: Path) -> None:
    clone = tmp_path / "movies-etl"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    answer = subprocess.run(["make", "help"], cwd=clone, capture_output=True, text=True, check=True)
    assert {"make run", "make test"} <= set(re.findall(r"make [a-z]+", answer.stdout))
    assert (clone / "plugins" / "movies_etl" / ".airflowignore").is_file()


def test_every_choice_of_tests_that_is_shown_chooses_some() -> None:
    shown = {one for path in PAGES for one in commands(path)}
    chosen = [re.search(r"pytest (\S+) -k (\w+)$", one) for one in shown]
    assert any(chosen)
    for file, words in (found.groups() for found in chosen if found):
        assert re.search(rf"^def test_\w*{words}", (ROOT / file).read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("module", ["tests.simulation", "tests.soak", "benchmarks", "local"])
def test_every_command_line_explains_itself(module: str) -> None:
    path = os.pathsep.join(map(str, (ROOT, ROOT / "plugins")))
    answer = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "usage: " in answer.stdout
