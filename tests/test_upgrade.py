"""An installation of version 0.1.0 is upgraded by copying the files: nothing is loaded again.

What that version left was written by it and is copied here: the JSON of its cursors literally, its
index's definition, documents and dead letter in ``support/version_0_1_0``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from movies_etl.errors import WriterBusyError
from movies_etl.postgres import lock

from tests.support.site import Site
from tests.support.sync_dag import SyncDag

FOLDER = Path(__file__).parent / "support" / "version_0_1_0"
INDEX = "movies-20261129164412"
LOCK = 6549778523383968689
"""What that version locks beside the index's own uuid."""
STREAMS = ("film_work", "genre", "person")

FILM_WORK = """{
  "index": "{uuid}",
  "database": {
    "name": "movies",
    "system_identifier": "{system_identifier}",
    "timeline": {timeline}
  },
  "rows": {
    "modified": "2024-05-09T00:00:00.000000+00:00",
    "id": "00000005-0000-4000-8000-000000000000"
  },
  "links": null,
  "fan_out": null,
  "tail": [],
  "horizon": "{horizon}",
  "version": {version},
  "open": false,
  "fence": {fence}
}"""
GENRE = """{
  "index": "{uuid}",
  "database": {
    "name": "movies",
    "system_identifier": "{system_identifier}",
    "timeline": {timeline}
  },
  "rows": {
    "modified": "2024-05-04T11:00:00.500000+00:00",
    "id": "00000011-0000-4000-8000-000000000000"
  },
  "links": {
    "created": "2024-05-07T00:00:00.000000+00:00",
    "id": "00000034-0000-4000-8000-000000000000"
  },
  "fan_out": null,
  "tail": [],
  "horizon": "{horizon}",
  "version": {version},
  "open": false,
  "fence": {fence}
}"""
GENRE_INTERRUPTED = """{
  "index": "{uuid}",
  "database": {
    "name": "movies",
    "system_identifier": "{system_identifier}",
    "timeline": {timeline}
  },
  "rows": {
    "modified": "2024-05-04T11:00:00.500000+00:00",
    "id": "00000011-0000-4000-8000-000000000000"
  },
  "links": {
    "created": "2024-05-07T00:00:00.000000+00:00",
    "id": "00000034-0000-4000-8000-000000000000"
  },
  "fan_out": {
    "from": {
      "modified": "2024-05-04T11:00:00.500000+00:00",
      "id": "00000011-0000-4000-8000-000000000000"
    },
    "to": {
      "modified": "2024-06-01T00:00:00.000000+00:00",
      "id": "00000011-0000-4000-8000-000000000000"
    },
    "after_film": "00000001-0000-4000-8000-000000000000",
    "since": {version}
  },
  "tail": [
    {
      "id": "00000012-0000-4000-8000-000000000000",
      "xmin": "7"
    }
  ],
  "horizon": "{horizon}",
  "version": {version},
  "open": true,
  "fence": {fence}
}"""
PERSON = """{
  "index": "{uuid}",
  "database": {
    "name": "movies",
    "system_identifier": "{system_identifier}",
    "timeline": {timeline}
  },
  "rows": {
    "modified": "2024-05-06T12:00:00.000000+00:00",
    "id": "00000022-0000-4000-8000-000000000000"
  },
  "links": {
    "created": "2024-05-08T00:00:01.000000+00:00",
    "id": "00000051-0000-4000-8000-000000000000"
  },
  "fan_out": null,
  "tail": [],
  "horizon": "{horizon}",
  "version": {version},
  "open": false,
  "fence": {fence}
}"""


def uid(number: int) -> str:
    return f"{number:08d}-0000-4000-8000-000000000000"


def add_catalogue(site: Site) -> None:
    """Add the rows that version 0.1.0 had loaded."""
    for number in range(1, 4):
        site.add_film(
            f"Film {number}",
            id=uid(number),
            rating=number / 2,
            description="About it" if number == 1 else None,
            modified=f"2024-05-0{number} 10:00:00.12345{number}+00",
        )
    site.add_film('Un\u0434\u0430ted "film"', id=uid(4), rating=7.25, modified=None)
    site.add_film("Bad", id=uid(5), rating="NaN", modified="2024-05-09 00:00:00+00")
    genre = site.add_genre("Drama", id=uid(11), modified="2024-05-04 11:00:00.5+00")
    ann = site.add_person("Ann", id=uid(21), modified="2024-05-05 12:00:00+00")
    bob = site.add_person("Bob", id=uid(22), modified="2024-05-06 12:00:00+00")
    for number in (1, 2, 4):
        site.label(uid(number), genre, id=uid(30 + number), created="2024-05-07 00:00:00+00")
        site.cast(uid(number), ann, "director", id=uid(40 + number), created="2024-05-08")
    site.cast(uid(4), bob, id=uid(50), created="2024-05-08 00:00:01+00")
    site.cast(uid(4), ann, id=uid(51), created="2024-05-08 00:00:01+00")


def add_index(site: Site, version: int) -> str:
    """Make what version 0.1.0 held in Elasticsearch; return the index's uuid."""
    client = site.client
    described = json.loads((FOLDER / "movies.json").read_text())
    held = json.loads((FOLDER / "held.json").read_text())
    client.indices.put_index_template(
        name="movies", index_patterns=["movies*"], priority=500, allow_auto_create=False
    )
    client.indices.create(index=INDEX, aliases={"movies": {"is_write_index": True}}, **described)
    client.indices.create(
        index="movies-dead-letters",
        settings={"number_of_shards": 1, "auto_expand_replicas": "0-1", "gc_deletes": "1h"},
        mappings=held["letters_mapping"],
    )
    for index, key, documents in (
        (INDEX, "id", held["documents"]),
        ("movies-dead-letters", "film", held["letters"]),
    ):
        for document in documents:
            client.index(
                index=index,
                id=document[key],
                document=document,
                version=version,
                version_type="external_gte",
            )
    client.indices.refresh(index="movies*")
    settings = client.indices.get_settings(index=INDEX, flat_settings=True)
    return str(settings[INDEX]["settings"]["index.uuid"])


@pytest.fixture
def kept(site: Site) -> dict[str, Any]:
    """What the cursors of an installation of version 0.1.0 name."""
    add_catalogue(site)
    clock = site.source().server.clock()
    ((identifier, timeline),) = site.execute(
        "SELECT system_identifier, timeline_id FROM pg_control_system(), pg_control_checkpoint()"
    ).fetchall()
    version = clock - 60_000_000
    return {
        "uuid": add_index(site, version),
        "system_identifier": identifier,
        "timeline": timeline,
        "horizon": site.source().server.now(),
        "version": version,
        "fence": version - 1_000_000,
    }


def filled(text: str, kept: dict[str, Any]) -> str:
    for name, value in kept.items():
        text = text.replace(f"{{{name}}}", str(value))
    json.loads(text)
    return text


@pytest.fixture
def installation(site: Site, sync_dag: SyncDag, kept: dict[str, Any]) -> Site:
    """An installation of version 0.1.0 over which the present files were copied."""
    sync_dag.remember(
        {
            "movies_etl.cursor.film_work": filled(FILM_WORK, kept),
            "movies_etl.cursor.genre": filled(GENRE, kept),
            "movies_etl.cursor.person": filled(PERSON, kept),
            "movies_etl.horizon": kept["horizon"],
            "movies_etl.difference": f'{{"difference":0,"at":"{kept["horizon"]}"}}',
        }
    )
    return site


def cursors(sync_dag: SyncDag) -> dict[str, Any]:
    variables = sync_dag.variables()
    return {stream: json.loads(variables[f"movies_etl.cursor.{stream}"][0]) for stream in STREAMS}


def test_an_upgraded_installation_loads_nothing_again_and_keeps_its_cursors(
    installation: Site, sync_dag: SyncDag
) -> None:
    before, letters = cursors(sync_dag), installation.letters()
    versions = installation.versions()
    names = sync_dag.variables().keys()
    run = sync_dag.run()
    assert run.state == "success"
    assert run.counters("read") == [1, 0, 0]  # the film without a stamp, as in each run
    assert run.counters("unchanged") == [1, 0, 0]
    assert run.counters("indexed") == run.counters("refused") == [0, 0, 0]
    assert run.results["init"]["index"] == INDEX
    assert installation.versions() == versions
    assert installation.letters() == letters
    assert sorted(installation.client.indices.get(index="*")) == [INDEX, "movies-dead-letters"]
    after = cursors(sync_dag)
    assert after["film_work"].pop("history")  # of the index: a restored one has another
    for stream in STREAMS:
        assert after[stream].pop("seen")  # what makes the next idle run cheap
        assert after[stream].keys() == before[stream].keys()
        moves = ("horizon", "version")  # with the clock
        learned = {name: after[stream]["database"].pop(name) for name in ("oid", "tables")}
        assert learned["oid"] > 0
        assert len(learned["tables"]) == 5
        for field in after[stream].keys() - set(moves):
            assert after[stream][field] == before[stream][field], field
    assert sync_dag.variables().keys() == names | {
        "movies_etl.notices",
        "movies_etl.layout",
    }  # there were none


@pytest.mark.long
def test_an_upgraded_installation_goes_on_with_what_changes(
    installation: Site, sync_dag: SyncDag
) -> None:
    installation.execute(
        "UPDATE content.film_work SET rating = 8, modified = now() WHERE title IN ('Film 3', 'Bad')"
    )
    installation.execute("UPDATE content.genre SET name = 'Noir', modified = now()")
    installation.execute(
        "UPDATE content.person SET full_name = 'Bo', modified = now() WHERE full_name = 'Bob'"
    )
    run = sync_dag.run()
    assert run.counters("indexed") == [3, 2, 0]  # the film without a stamp is seen first
    installation.assert_equal()
    assert installation.letters() == {}
    assert sync_dag.run().counters("indexed") == [0, 0, 0]


def test_work_that_version_0_1_0_left_half_done_goes_on_where_it_stopped(
    installation: Site, sync_dag: SyncDag, kept: dict[str, Any]
) -> None:
    installation.execute(
        "UPDATE content.genre SET name = 'Noir', modified = '2024-06-01 00:00:00+00'"
    )
    document = installation.client.get(index=INDEX, id=uid(1))["_source"]
    installation.client.index(
        index=INDEX,
        id=uid(1),
        document=document | {"genres": ["Noir"]},
        version=kept["version"],
        version_type="external_gte",
    )
    sync_dag.remember({"movies_etl.cursor.genre": filled(GENRE_INTERRUPTED, kept)})
    versions = installation.versions()
    run = sync_dag.run()
    assert run.counters("read") == [1, 2, 0]
    assert run.counters("indexed") == [1, 1, 0]
    after = installation.versions()
    assert {one for one in after if after[one] > versions[one]} == {uid(2), uid(4)}
    for film in (uid(1), uid(2), uid(4)):
        assert installation.documents()[film] == installation.expected()[film]
    genre = cursors(sync_dag)["genre"]
    assert genre["rows"] == {"modified": "2024-06-01T00:00:00.000000+00:00", "id": uid(11)}
    assert (genre["fan_out"], genre["open"]) == (None, False)
    assert genre["fence"] > kept["version"]


def test_a_task_of_version_0_1_0_and_one_of_this_version_exclude_each_other(
    site: Site, kept: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    take = lock.take
    monkeypatch.setattr(lock, "take", lambda session, uuid, wait: take(session, uuid, 0 * wait))
    site.cursors.texts |= {
        "film_work": filled(FILM_WORK, kept),
        "genre": filled(GENRE, kept),
        "person": filled(PERSON, kept),
    }
    with psycopg.connect(
        site.dsn, autocommit=True, application_name="movies_etl film_work scheduled__1"
    ) as old:
        old.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        with pytest.raises(WriterBusyError, match="movies_etl film_work scheduled__1"):
            site.open()
    site.open()
