"""Bad input: ``init`` fails soon, says what to fix, and leaves nothing behind."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from elasticsearch import Elasticsearch as Client
from movies_etl.airflow import tasks as airflow_tasks
from movies_etl.airflow import variables
from movies_etl.airflow.dags import NEVER
from movies_etl.airflow.tasks import init_task
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.definitions.movies import MOVIES
from movies_etl.errors import (
    ConfigurationError,
    IndexUnavailableError,
    MoviesEtlError,
    SourceUnavailableError,
)
from movies_etl.es import admin
from movies_etl.es.index import Index
from movies_etl.postgres.horizon import Known

from local.elasticsearch import Elasticsearch
from local.postgres import Postgres
from tests.conftest import free_port
from tests.support.site import Site

FIRST_CONTACT = airflow_tasks.FIRST_CONTACT_SECONDS


def state_of(client: Client) -> dict[str, object]:
    """Return the indexes and what is behind which alias."""
    return dict(client.indices.get_alias(index="*", expand_wildcards="all"))


class Init:
    """The task ``init`` over the test's servers, with cursors that a test can look at."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self._site = site
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(airflow_tasks, "VariableCursorStore", lambda _: site.cursors)
        monkeypatch.setattr(airflow_tasks, "VariableHorizonStore", lambda _: site.horizons)
        monkeypatch.setattr(airflow_tasks, "VariableNoticeStore", lambda _: site.notices)
        monkeypatch.setattr(airflow_tasks, "VariableLayoutStore", lambda _: site.layouts)
        monkeypatch.setattr(airflow_tasks, "FIRST_CONTACT_SECONDS", 0.3)

    def connect(self, name: str, kind: str, host: str, port: int | None, **fields: object) -> None:
        text = json.dumps({"conn_type": kind, "host": host, "port": port, **fields})
        self._monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", text)

    def connect_postgres(self, port: int, login: str = "postgres", schema: str = "movies") -> None:
        self.connect("movies_postgres", "postgres", "127.0.0.1", port, login=login, schema=schema)

    def connect_elasticsearch(self, port: int) -> None:
        self.connect("movies_elasticsearch", "elasticsearch", "127.0.0.1", port)

    def disconnect(self, name: str) -> None:
        self._monkeypatch.delenv(f"AIRFLOW_CONN_{name.upper()}")

    def run(self) -> object:
        return init_task(MOVIES, NEVER).function({"reload": "none"})

    def fails(self, error: type[MoviesEtlError] = ConfigurationError) -> str:
        """Run, expect the error within the time, find nothing changed; return the message."""
        state, cursors = state_of(self._site.client), dict(self._site.cursors.texts)
        started = time.monotonic()
        with pytest.raises(MoviesEtlError) as raised:
            self.run()
        assert isinstance(raised.value, error)
        # The tries begin within FIRST_CONTACT; the last of them takes as long as this one.
        assert FIRST_CONTACT + time.monotonic() - started < 30
        assert state_of(self._site.client) == state
        assert self._site.cursors.texts == cursors
        assert self._site.horizons.load() == Known()
        message = str(raised.value)
        assert "\n" not in message
        return message


@pytest.fixture
def init(
    site: Site,
    postgres: Postgres,
    elasticsearch_node: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> Init:
    init = Init(site, monkeypatch)
    init.connect_postgres(postgres.port)
    init.connect_elasticsearch(elasticsearch_node.port)
    return init


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield int(listener.getsockname()[1])


Serve = Callable[[int, dict[str, str], str], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts an HTTP server with one answer to everything."""
    servers = []

    def start(status: int, headers: dict[str, str], body: str) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        servers.append((server, thread))
        return int(server.server_address[1])

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


def test_good_input_passes(init: Init, site: Site) -> None:
    context = init.run()
    assert isinstance(context, dict)
    assert site.horizons.load().horizon == context["horizon"]
    assert site.cursors.texts.keys() == {"film_work", "genre", "person"}


@pytest.mark.parametrize("name", ["movies_postgres", "movies_elasticsearch"])
def test_a_missing_connection(init: Init, name: str) -> None:
    init.disconnect(name)
    message = init.fails()
    assert f"no connection {name}" in message
    assert "Admin -> Connections" in message


def test_a_database_that_does_not_exist(init: Init, postgres: Postgres) -> None:
    init.connect_postgres(postgres.port, schema="no_such_database")
    message = init.fails()
    assert "movies_postgres" in message
    assert '"no_such_database" does not exist' in message
    assert "Fix" in message


def test_a_role_that_does_not_exist(init: Init, postgres: Postgres) -> None:
    init.connect_postgres(postgres.port, login="nobody_known")
    message = init.fails()
    assert "movies_postgres" in message
    assert "nobody_known" in message


def test_an_unreachable_postgresql(init: Init) -> None:
    init.connect_postgres(free_port())
    message = init.fails(SourceUnavailableError)
    assert "movies_postgres" in message
    assert "Check that it runs" in message


def test_an_unreachable_elasticsearch(init: Init) -> None:
    init.connect_elasticsearch(free_port())
    message = init.fails(IndexUnavailableError)
    assert "movies_elasticsearch" in message
    assert "Check that it runs" in message


@pytest.mark.long
def test_a_postgresql_that_does_not_answer(init: Init, silent_port: int) -> None:
    init.connect_postgres(silent_port)
    assert "movies_postgres" in init.fails(SourceUnavailableError)


@pytest.mark.long
def test_an_elasticsearch_that_does_not_answer(init: Init, silent_port: int) -> None:
    init.connect_elasticsearch(silent_port)
    assert "movies_elasticsearch" in init.fails(IndexUnavailableError)


PRODUCT = {"X-Elastic-Product": "Elasticsearch", "Content-Type": "application/json"}


def test_an_elasticsearch_of_a_newer_major_version(init: Init, serve: Serve) -> None:
    said = json.dumps({"version": {"number": "10.1.3"}, "tagline": "You Know, for Search"})
    init.connect_elasticsearch(serve(200, PRODUCT, said))
    message = init.fails()
    assert "movies_elasticsearch is Elasticsearch 10.1.3" in message
    assert "speaks to versions 8 and 9" in message


def test_an_elasticsearch_of_an_older_major_version(init: Init, serve: Serve) -> None:
    # What 7.17 says to a client of version 8.
    caused_by = {
        "type": "status_exception",
        "reason": "Accept version must be either version 7 or 6, but found 8.",
    }
    reason = "Invalid media-type value on headers [Accept]"
    error = {"type": "media_type_header_exception", "reason": reason, "caused_by": caused_by}
    said = json.dumps({"error": {"root_cause": [error], **error}, "status": 400})
    init.connect_elasticsearch(serve(400, PRODUCT, said))
    message = init.fails()
    assert "movies_elasticsearch" in message
    assert "speaks to versions 8 and 9" in message
    assert "either version 7 or 6" in message


@pytest.mark.parametrize("status", [200, 404])
def test_a_server_that_is_not_elasticsearch(init: Init, serve: Serve, status: int) -> None:
    init.connect_elasticsearch(serve(status, {"Content-Type": "text/html"}, "<html>Hello</html>"))
    message = init.fails()
    assert "movies_elasticsearch" in message
    assert "not Elasticsearch" in message
    assert "host and port" in message


def test_a_postgresql_that_is_too_old(init: Init, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("movies_etl.postgres.inspection.OLDEST_POSTGRESQL", 99_00_00)
    message = init.fails()
    assert "movies_postgres is PostgreSQL 18;" in message
    assert "version 99 or newer is needed" in message


def test_a_database_without_the_catalogue(init: Init, site: Site) -> None:
    site.execute("DROP SCHEMA content CASCADE")
    message = init.fails()
    assert "Database movies (connection movies_postgres)" in message
    assert "no schema content" in message


def test_a_catalogue_with_columns_of_other_names(init: Init, site: Site) -> None:
    site.execute("ALTER TABLE content.film_work RENAME COLUMN modified TO updated_at")
    site.execute("ALTER TABLE content.person_film_work RENAME COLUMN created TO created_at")
    site.execute("DROP TABLE content.genre_film_work")
    message = init.fails()
    assert "movies_postgres" in message
    assert "column content.film_work.modified is missing, it has updated_at (" in message
    assert "column content.person_film_work.created is missing, it has created_at (" in message
    assert "table content.genre_film_work is missing" in message


def test_a_role_without_rights(init: Init, site: Site, postgres: Postgres) -> None:
    site.execute("DROP ROLE IF EXISTS stranger")
    site.execute("CREATE ROLE stranger LOGIN")
    try:
        init.connect_postgres(postgres.port, login="stranger")
        message = init.fails()
    finally:
        site.execute("DROP ROLE stranger")
    assert "movies_postgres" in message
    assert "may not read content.film_work" in message
    assert "GRANT SELECT" in message


def test_movies_is_an_index(init: Init, site: Site) -> None:
    site.client.indices.create(index="movies")
    message = init.fails()
    assert "movies is an index, not an alias" in message
    assert "movies_elasticsearch" in message
    assert message.index("MOVIES_ETL_INDEX_PREFIX") < message.index("movies_reindex with take_over")


def test_the_alias_has_two_indexes(init: Init, site: Site) -> None:
    for index in ("movies-a", "movies-b"):
        site.client.indices.create(index=index, aliases={"movies": {}})
    message = init.fails()
    assert "movies-a, movies-b" in message
    assert "Remove it from all but one" in message


def test_an_index_that_a_late_request_creates_at_the_same_moment_is_taken(
    init: Init, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(airflow_tasks, "FIRST_CONTACT_SECONDS", 15.0)
    site.add_small_catalogue()
    create = admin.create

    def late(
        client: Client, definition: IndexDefinition, name: str, described: Mapping[str, object]
    ) -> Index:
        monkeypatch.setattr(admin, "create", create)
        create(client, definition, "movies-20260101000000", described)
        return create(client, definition, name, described)

    monkeypatch.setattr(admin, "create", late)
    init.run()
    assert list(site.client.indices.get_alias(name="movies")) == ["movies-20260101000000"]
    site.run()
    site.assert_equal()


def test_the_index_has_a_foreign_mapping(init: Init, site: Site) -> None:
    properties = {"id": {"type": "keyword"}, "imdb_rating": {"type": "text"}}
    site.client.indices.create(
        index="movies-foreign", aliases={"movies": {}}, mappings={"properties": properties}
    )
    message = init.fails()
    assert "Index movies-foreign behind alias movies was not made by this program" in message
    assert message.index("MOVIES_ETL_INDEX_PREFIX") < message.index("take the alias away")


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        ("film_work", "2024-01-01"),
        ("genre", "{}"),
        ("person", '{"index": "x", "database": {"name": "movies"}, "rows": {"modified": "now"}}'),
    ],
)
def test_a_cursor_that_cannot_be_read(init: Init, site: Site, stream: str, text: str) -> None:
    site.cursors.texts[stream] = text
    message = init.fails()
    assert f"{stream} is not a valid cursor" in message
    assert "Admin -> Variables" in message


@pytest.mark.parametrize("year", ["2099", "10000"])
@pytest.mark.parametrize("stream", ["film_work", "genre", "person"])
def test_a_cursor_that_stands_in_the_future(init: Init, site: Site, stream: str, year: str) -> None:
    site.add_small_catalogue()
    site.run()
    cursor = site.cursors.load(stream)
    assert cursor is not None
    assert cursor.rows is not None
    rows = cursor.rows.model_copy(update={"stamp": f"{year}-01-01T00:00:00.000000+00:00"})
    site.cursors.save(stream, cursor.moved(rows=rows))
    site.reconnect()
    site.horizons.known = Known()
    message = init.fails()
    assert f"cursor of {stream} stands at {year}-01-01" in message
    assert "Admin -> Variables, or delete it" in message


def test_a_complete_catalogue_is_not_warned_about(
    init: Init, caplog: pytest.LogCaptureFixture
) -> None:
    init.run()
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


class UnreachableVariables:
    """Airflow's Variables while the API server is away: ``get`` hides it behind a default."""

    @staticmethod
    def keys(prefix: str | None = None) -> Iterator[str]:
        raise ConnectionError(f"no Variables {prefix}")

    @staticmethod
    def get(_key: str, default: object = None) -> object:
        return default


def test_cursors_that_cannot_be_read_are_not_taken_for_absent(
    init: Init, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variables, "Variable", UnreachableVariables)
    monkeypatch.setattr(airflow_tasks, "VariableCursorStore", variables.VariableCursorStore)
    state = state_of(site.client)
    with pytest.raises(ConnectionError):
        init.run()
    assert state_of(site.client) == state
    assert site.horizons.load() == Known()
