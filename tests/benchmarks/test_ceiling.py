from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks import ceiling
from benchmarks.load import compare
from benchmarks.meter import Meter
from benchmarks.runs import BenchmarkError
from local.elasticsearch import Elasticsearch
from tests.support.site import Site

METER = Meter(os.getpid(), os.getpid())


def test_the_ceiling_sends_the_documents_that_the_sync_sends(
    small: Site, elasticsearch_node: Elasticsearch, tmp_path: Path
) -> None:
    bodies = ceiling.take_out(small.dsn, tmp_path / "bodies")
    small.run()

    result = ceiling.measure(elasticsearch_node.port, bodies, METER)

    assert result.films == bodies.films == len(small.documents())
    compare(elasticsearch_node.port, "movies", bodies)
    assert not small.client.indices.exists(index=ceiling.INDEX)


def test_a_document_that_differs_is_found(
    small: Site, elasticsearch_node: Elasticsearch, tmp_path: Path
) -> None:
    bodies = ceiling.take_out(small.dsn, tmp_path / "bodies")
    small.execute("UPDATE content.film_work SET title = title || '!', modified = now()")
    small.run()

    with pytest.raises(BenchmarkError, match="is not in movies as it should be"):
        compare(elasticsearch_node.port, "movies", bodies)


def test_a_refused_document_ends_the_ceiling(
    small: Site, elasticsearch_node: Elasticsearch, tmp_path: Path
) -> None:
    bodies = ceiling.take_out(small.dsn, tmp_path / "bodies")
    (file,) = bodies.files
    file.write_bytes(file.read_bytes().replace(b'"imdb_rating":', b'"rating":', 1))

    with pytest.raises(RuntimeError, match="refused a document"):
        ceiling.measure(elasticsearch_node.port, bodies, METER)
