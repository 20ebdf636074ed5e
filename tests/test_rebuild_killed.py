"""SIGKILL of the processes of a rebuild: the next try goes on, and loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from movies_etl.state.cursors import Cursor

from local.elasticsearch import Elasticsearch
from tests.support.rebuild import Rebuild, behind, run
from tests.support.rebuild_worker import PAGE_SIZE, FilePosition, do, use_files
from tests.support.site import Site

FILMS = 600


@pytest.mark.long
def test_each_task_of_a_rebuild_is_killed_and_goes_on(
    site: Site, elasticsearch_node: Elasticsearch, tmp_path: Path
) -> None:
    url = elasticsearch_node.url
    use_files(site, tmp_path)
    site.fill(FILMS)
    site.run()
    before = behind(site)
    plan = Rebuild(site).begin()
    (tmp_path / "plan.json").write_text(plan.model_dump_json())

    do(site, url, tmp_path, "load", death="load")
    kept = FilePosition(tmp_path).load()
    assert kept is not None
    reached = Cursor.from_json(kept, where="file").loaded_to
    ids = sorted(site.documents())
    below = [one for one in ids if one <= str(reached)]
    assert 0 < len(below) < FILMS
    assert len(below) % PAGE_SIZE == 0
    there = site.client.mget(index=plan.context.index, ids=below, source=False)["docs"]
    assert all(one["found"] for one in there)
    assert do(site, url, tmp_path, "load")["read"] == FILMS - len(below)

    site.change("Changed", "text LIKE '%%1'")
    do(site, url, tmp_path, "check", death="check")
    done = do(site, url, tmp_path, "check")
    assert (done["documents"], done["missing"], done["different"]) == (FILMS, 0, 0)

    site.change("Changed again", "text LIKE '%%2'")
    do(site, url, tmp_path, "swap", death="before the aliases")
    assert behind(site) == before
    do(site, url, tmp_path, "swap", death="behind the aliases")
    assert behind(site) == plan.context.index
    assert do(site, url, tmp_path, "swap")["index"] == plan.context.index
    site.assert_equal()
    assert sum(run(site).values()) == 0
