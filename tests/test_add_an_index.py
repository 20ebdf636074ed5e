"""The page ``docs/add-an-index.md``, done as it says: built, run on real servers, taken away."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.pages import files_of
from tests.support.servers import ROOT
from tests.support.site import Site
from tests.support.sync_dag import SyncDag

PAGE = ROOT / "docs" / "add-an-index.md"
FILES = files_of(PAGE)
RUN = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=sys.argv[1])
assert not bag.import_errors, bag.import_errors
run = bag.dags["decades_sync"].test()
results = {
    task: run.get_task_instance(task).xcom_pull(task_ids=task, run_id=run.run_id)
    for task in ("init", "film_work", "genre")
}
print(json.dumps([str(run.state), results]))
"""


class House:
    """A copy of the program with the files of the page.

    :param folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self) -> dict[Path, bytes]:
        """Return what each of its files holds."""
        return {
            path.relative_to(self.folder): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
            and "__pycache__" not in path.parts
            and ".ruff_cache" not in path.parts
        }

    def command(self, *arguments: str | Path) -> str:
        """Run a command in its folder; return what it prints."""
        folders = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(self.folder / "plugins"),
        }
        answer = subprocess.run(
            [str(one) for one in arguments],
            cwd=self.folder,
            env=os.environ | folders,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]
        return answer.stdout

    def run(self) -> dict[str, dict[str, Any]]:
        """Run the DAG; return the tasks' results."""
        told = self.command(sys.executable, "-c", RUN, self.folder / "dags")
        state, results = json.loads(told.splitlines()[-1])
        assert state == "success", told[-3000:]
        found: dict[str, dict[str, Any]] = results
        return found


def tool(name: str) -> Path:
    return Path(sys.executable).with_name(name)


@pytest.fixture
def bare(tmp_path: Path) -> House:
    """The program as it is."""
    for name in ("dags", "plugins", "include", "local"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return House(tmp_path)


@pytest.fixture
def house(bare: House) -> House:
    """The program with the files of the page."""
    for name, text in FILES.items():
        path = bare.folder / name
        assert not path.exists()
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return bare


@pytest.fixture
def dated(site: Site) -> Iterator[Site]:
    """Films of several decades, and of none."""
    site.add_small_catalogue()
    for number, day in enumerate(("1969-12-31", "1970-01-01", "infinity", "0044-03-15 BC")):
        site.execute(
            "UPDATE content.film_work SET creation_date = %s WHERE title = %s",
            day,
            f"Film {number}",
        )
    yield site
    for index in site.client.indices.get(index="decades-*"):
        site.client.indices.delete(index=index)


def expected(site: Site) -> dict[str, dict[str, Any]]:
    """Build each document from those of the films."""
    decades = dict(
        site.execute(
            "SELECT id::text, to_char(creation_date, 'FMYYYY BC') FROM content.film_work"
            " WHERE isfinite(creation_date)"
        ).fetchall()
    )
    documents = {}
    for film, document in site.expected().items():
        year = None
        if film in decades:
            number, era = decades[film].split()
            year = int(number) if era == "AD" else -int(number)
        documents[film] = {
            "id": film,
            "title": document["title"],
            "decade": None if year is None else year // 10 * 10,
            "genres": document["genres"],
        }
    return documents


def found(site: Site) -> dict[str, dict[str, Any]]:
    """Return what a search finds."""
    hits = site.client.search(index="decades", size=1000, source_excludes="checksum")["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits["hits"]}


def blocks(kind: str) -> list[str]:
    """Return the page's blocks of a kind that are no files."""
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)


def test_an_index_is_four_files(house: House) -> None:
    assert [Path(name).parts[0] for name in FILES] == ["include", "include", "plugins", "dags"]
    code = [line for line in FILES["dags/decades_sync.py"].splitlines() if line]
    assert len(code) <= 5
    assert house.files().keys() >= {Path(name) for name in FILES}


@pytest.mark.long
def test_the_index_of_the_page_is_loaded_and_kept_equal(
    house: House, dated: Site, sync_dag: SyncDag
) -> None:
    results = house.run()
    assert results["film_work"]["indexed"] == 7
    assert results["genre"]["difference"] == 0
    assert found(dated) == expected(dated)

    (query,) = blocks("json")
    buckets = dated.client.search(index="decades", body=json.loads(query))["aggregations"]
    counted = {one["key"]: one["doc_count"] for one in buckets["decades"]["buckets"]}
    assert counted == {-50: 1, 1960: 1, 1970: 1}

    dated.execute("UPDATE content.genre SET name = 'Noir', modified = now() WHERE name = 'Drama'")
    dated.execute(
        "UPDATE content.film_work SET creation_date = '2001-01-01', modified = now()"
        " WHERE title = 'Film 1'"
    )
    dated.label(
        next(film for film, one in found(dated).items() if not one["genres"]),
        dated.add_genre("Western"),
        created="now()",
    )
    bad = dated.add_film("x" * 40_000, modified="now()")
    results = house.run()
    assert [results[task]["indexed"] for task in ("film_work", "genre")] == [1, 4]
    assert results["film_work"]["refused"] == 1
    documents = expected(dated)
    assert documents.pop(bad)
    assert found(dated) == documents
    (letter,) = dated.client.search(index="decades-dead-letters")["hits"]["hits"]
    assert letter["_source"]["film"] == bad
    assert set(sync_dag.variables()) == {
        "movies_etl.decades.cursor.film_work",
        "movies_etl.decades.cursor.genre",
        "movies_etl.decades.horizon",
        "movies_etl.decades.difference",
        "movies_etl.decades.notices",
        "movies_etl.decades.layout",
    }


def test_its_code_is_of_the_style_of_the_rest(house: House) -> None:
    python = [name for name in FILES if name.endswith(".py")]
    house.command(tool("ruff"), "check", *python)
    house.command(tool("ruff"), "format", "--check", *python)
    house.command(tool("sqlfluff"), "lint", "include/sql/decades")


def test_the_page_s_commands_show_it_and_take_it_away(house: House) -> None:
    shown = house.command(
        *(sys.executable, "-m", "local", "sql", "feed/fan_out", "genre", "--index", "decades")
    )
    assert 'FROM "content"."genre_film_work" AS link' in shown
    before = {path: text for path, text in house.files().items() if str(path) not in FILES}
    for command in blocks("sh")[-1].splitlines():
        house.command("sh", "-c", command)
    assert house.files() == before
