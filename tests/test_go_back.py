"""Back to version 0.1.0 as docs/operations.md says: over what this version has written.

Its files come from the history of the repository.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import ROOT
from tests.support.site import Site
from tests.support.sync_dag import SyncDag

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

VERSION_0_1_0 = "5e6258db319717820099f2964fcd64833f7feb3c"
CURSORS = [f"movies_etl.cursor.{stream}" for stream in ("film_work", "genre", "person")]
RUN = """
import os
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
run = bag.dags["movies_sync"].test()
import movies_etl
print("ended:", run.state, movies_etl.__file__)
"""


class OldFiles:
    """The files of version 0.1.0, over the servers and Variables of the tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self) -> None:
        """Run the DAG; expect that it succeeds."""
        folders = {
            f"AIRFLOW__CORE__{name.upper()}_FOLDER": str(self._folder / name)
            for name in ("dags", "plugins")
        }
        ended = subprocess.run(
            [sys.executable, "-c", RUN],
            cwd=self._folder,
            env=os.environ | folders,
            check=False,
            capture_output=True,
            text=True,
        )
        told = f"ended: success {self._folder / 'plugins'}"
        assert told in ended.stdout, f"{ended.stdout[-4000:]}{ended.stderr[-4000:]}"


@pytest.fixture
def old(tmp_path: Path) -> OldFiles:
    command = ["git", "archive", VERSION_0_1_0, "dags", "plugins", "include"]
    found = subprocess.run(command, cwd=ROOT, check=False, capture_output=True)
    if found.returncode:
        pytest.skip("this checkout has no history back to version 0.1.0")
    subprocess.run(["tar", "--extract", "--directory", tmp_path], input=found.stdout, check=True)
    return OldFiles(tmp_path)


def upgraded(old: OldFiles, site: Site, sync_dag: SyncDag) -> dict[str, str]:
    """Load with the old files, then run this version; return the Variables from before that."""
    site.add_small_catalogue()
    old.run()
    site.assert_equal()
    exported = {name: value for name, (value, _) in sync_dag.variables().items()}
    assert exported.keys() >= set(CURSORS)
    for text in ("Of the new version", "Of the new version, again"):
        site.change(text)
        site.execute("UPDATE content.genre SET name = name || '!', modified = now()")
        assert sync_dag.run().state == "success"
    site.assert_equal()
    return exported


def goes_on(old: OldFiles, site: Site, sync_dag: SyncDag) -> None:
    """Expect that the old files keep the index equal, and that an upgrade finds it so again."""
    old.run()
    site.assert_equal()
    site.change("Of the old version")
    site.execute("UPDATE content.person SET full_name = full_name || '!', modified = now()")
    old.run()
    site.assert_equal()
    assert sync_dag.run().state == "success"
    site.assert_equal()


def test_with_the_exported_variables_the_old_version_goes_on(
    old: OldFiles, site: Site, sync_dag: SyncDag
) -> None:
    sync_dag.remember(upgraded(old, site, sync_dag))
    index = [*site.client.indices.get_alias(name="movies")]
    goes_on(old, site, sync_dag)
    assert [*site.client.indices.get_alias(name="movies")] == index


def test_without_its_cursors_the_old_version_loads_everything_into_the_same_index(
    old: OldFiles, site: Site, sync_dag: SyncDag
) -> None:
    upgraded(old, site, sync_dag)
    variables = {name: value for name, (value, _) in sync_dag.variables().items()}
    index = [*site.client.indices.get_alias(name="movies")]
    sync_dag.forget()
    sync_dag.remember({name: variables[name] for name in variables.keys() - {*CURSORS}})
    goes_on(old, site, sync_dag)
    assert [*site.client.indices.get_alias(name="movies")] == index
