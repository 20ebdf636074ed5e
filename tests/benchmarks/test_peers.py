from __future__ import annotations

from pathlib import Path

import psycopg
from movies_etl.definitions.movies import MOVIES
from movies_etl.es.admin import described
from psycopg.rows import dict_row

from benchmarks import ceiling, usual
from benchmarks.load import compare
from benchmarks.peers import without_checksum
from local.elasticsearch import Elasticsearch
from tests.support.site import Site


def test_the_usual_program_loads_the_same_documents(
    small: Site, elasticsearch_node: Elasticsearch, tmp_path: Path
) -> None:
    bodies = ceiling.take_out(small.dsn, tmp_path / "bodies")
    index = "movies-usual"
    small.client.indices.create(index=index, **described(MOVIES, small.settings.include_dir))
    state = usual.State(tmp_path / "state.json")

    with psycopg.connect(small.dsn, autocommit=True, row_factory=dict_row) as connection:
        assert usual.load(connection, small.client, state, index) == bodies.films
        assert usual.load(connection, small.client, state, index) == 0

    compare(elasticsearch_node.port, index, bodies, wanted=without_checksum)
