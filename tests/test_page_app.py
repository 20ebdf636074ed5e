"""The page in a real Airflow API server: who may see it, what it remembers, what browsers load."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from airflow.api_fastapi.app import create_app, purge_cached_app
from fastapi.testclient import TestClient
from movies_etl import page
from movies_etl.airflow import memory
from movies_etl.airflow.page import STATIC, app
from movies_etl.definitions.registry import declared

from tests.support.page_servers import have_patience
from tests.support.page_users import headers
from tests.support.site import Site
from tests.support.sync_dag import SyncDag

BASE = "/movies-etl"
FILES = sorted(one.name for one in STATIC.iterdir())
QUESTIONS = [
    "api/about",
    *(
        f"api/{index}/{question}"
        for index in declared()
        for question in (
            "freshness",
            "lookup?words=x",
            "why?id=x",
            "letters",
            "day",
            "search?words=x",
        )
    ),
]
SECRET = "of no worth: the tests' own secret, long enough for HS512 by itself, it is hoped"  # noqa: S105


@pytest.fixture(scope="module")
def airflow_server(airflow_database: None) -> Iterator[TestClient]:  # noqa: ARG001
    """Airflow's own application with the plugin, over the tests' database."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW__API_AUTH__JWT_SECRET", SECRET)
        environment.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "False")
        purge_cached_app()
        with TestClient(create_app(apps="core"), raise_server_exceptions=False) as client:
            yield client
        purge_cached_app()


@pytest.fixture
def server(
    airflow_server: TestClient,
    sync_dag: SyncDag,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> TestClient:
    """The same, with connections to the test's servers."""
    have_patience(monkeypatch)
    return airflow_server


def test_only_those_who_may_read_the_runs_see_anything_of_it(server: TestClient) -> None:
    paths = ["", *FILES, *QUESTIONS]
    for path in paths:
        assert server.get(f"{BASE}/{path}").status_code == 401, path
        assert server.get(f"{BASE}/{path}", headers=headers(None)).status_code == 403, path
    viewer = headers("VIEWER")
    for path in ("", *FILES, "api/about"):
        assert server.get(f"{BASE}/{path}", headers=viewer).status_code == 200, path


@pytest.mark.parametrize("role", ["VIEWER", "USER", "OP", "ADMIN"])
def test_each_role_sees_the_page_and_a_viewer_triggers_nothing(
    server: TestClient, role: str
) -> None:
    for path in ("", "api/about", "api/movies/freshness"):
        assert server.get(f"{BASE}/{path}", headers=headers(role)).status_code == 200
    run = {"logical_date": None, "conf": {"page_size": "refused"}}
    pressed = server.post("/api/v2/dags/movies_sync/dagRuns", json=run, headers=headers(role))
    assert (pressed.status_code == 403) == (role == "VIEWER")
    assert pressed.status_code >= 400


def test_every_route_reads_and_has_the_guard(server: TestClient) -> None:
    assert {method for route in app.routes for method in route.methods} <= {"GET", "HEAD"}  # type: ignore[attr-defined]
    assert len(app.router.dependencies) == 1
    admin = headers("ADMIN")
    for path in ("docs", "redoc", "openapi.json", "docs/oauth2-redirect"):
        assert server.get(f"{BASE}/{path}", headers=admin).status_code == 404
    for outside in ("..%2Fpage.py", "%2e%2e/asking.py", "static", "..%2f..%2fsettings.py"):
        assert server.get(f"{BASE}/{outside}", headers=admin).status_code == 404
    assert server.get(f"{BASE}/api/unknown/freshness", headers=admin).status_code == 404
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert server.request(method, f"{BASE}/api/about", headers=admin).status_code == 405


def test_the_page_loads_nothing_from_elsewhere(server: TestClient) -> None:
    viewer = headers("VIEWER")
    for name in FILES:
        answer = server.get(f"{BASE}/{name}", headers=viewer)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|innerHTML", answer.text), name
        assert not re.search(r"\b(?:confirm|alert)\(", answer.text), name
        for loaded in re.findall(r'(?:from |src=|href=)"\.?/?([\w.]+)"', answer.text):
            assert loaded in FILES, name


def test_airflow_lists_the_page_in_its_navigation(server: TestClient) -> None:
    found = server.get("/api/v2/plugins", headers=headers("ADMIN")).json()["plugins"]
    (views,) = (one["external_views"] for one in found if one["name"].startswith("movies_etl"))
    assert [(one["name"], one["href"], one["destination"]) for one in views] == [
        ("Movies", "movies-etl/", "nav")
    ]


@pytest.mark.long
def test_what_runs_left_in_airflow_is_told(
    server: TestClient, small: Site, sync_dag: SyncDag
) -> None:
    viewer = headers("VIEWER")
    told = server.get(f"{BASE}/api/movies/freshness", headers=viewer).json()
    assert told["word"]["state"] == "loading"
    assert told["problems"] == []
    before = server.get(f"{BASE}/api/movies/day", headers=viewer).json()["total"]

    assert sync_dag.run().state == "success"
    told = server.get(f"{BASE}/api/movies/freshness", headers=viewer).json()
    assert told["problems"] == []
    assert (told["rows"], told["documents"], told["difference"]) == (7, 7, 0)
    assert told["last"]["state"] == "success"
    assert all(one["lag"] is not None for one in told["streams"])

    day = server.get(f"{BASE}/api/movies/day", headers=viewer).json()["total"]
    assert (day["runs"] - before["runs"], day["indexed"] - before["indexed"]) == (1, 7)

    film = small.add_film("Solaris <script>alert(1)</script>", modified="now()")
    asked = {"words": "solaris"}
    found = server.get(f"{BASE}/api/movies/lookup", params=asked, headers=viewer).json()
    assert [one["id"] for one in found["candidates"]] == [film]
    said = server.get(f"{BASE}/api/movies/why", params={"id": film}, headers=viewer).json()
    assert said["verdict"]["state"] == "waiting"
    assert said["facts"]["label"] == "Solaris <script>alert(1)</script>"
    assert len(said["steps"]) == 6
    assert sync_dag.run().state == "success"
    said = server.get(f"{BASE}/api/movies/why", params={"id": film}, headers=viewer).json()
    assert said["verdict"]["state"] == "found"


@pytest.mark.long
def test_of_what_airflow_remembers_one_damaged_part_hides_no_other(
    server: TestClient, small: Site, sync_dag: SyncDag, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = headers("VIEWER")
    assert sync_dag.run().state == "success"
    sync_dag.remember(
        {"movies_etl.cursor.genre": "{", "movies_etl.reconcile": "[]", "movies_etl.difference": ""}
    )
    told = server.get(f"{BASE}/api/movies/freshness", headers=viewer).json()
    assert told["word"]["state"] == "unknown"
    assert "Variable movies_etl.cursor.genre is not a valid cursor" in told["word"]["because"]
    assert (told["rows"], told["documents"], told["last"]["state"]) == (7, 7, "success")
    lags = {one["name"]: one["lag"] is None for one in told["streams"]}
    assert lags == {"film_work": False, "genre": True, "person": False}
    film = small.add_film("Solaris", modified="now()")
    said = server.get(f"{BASE}/api/movies/why", params={"id": film}, headers=viewer).json()
    assert (said["verdict"]["state"], said["facts"]["row"]["exists"]) == ("unknown", True)

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    for name in ("_rebuild", "_fed", "_held_by"):
        monkeypatch.setattr(memory, name, broken)
    told = server.get(f"{BASE}/api/persons/freshness", headers=viewer).json()
    assert told["problems"] == []
    assert [one.partition(" could not be read")[0] for one in told["unread"]] == [
        "What held the last run",
        "The newest rebuild",
        "Indexes that are fed",
    ]
    monkeypatch.setattr(memory, "_runs", broken)
    told = server.get(f"{BASE}/api/movies/freshness", headers=viewer).json()
    assert told["problems"][0].startswith("Airflow's runs could not be read")
    assert (told["rows"], told["documents"], told["paused"]) == (8, 7, True)


def test_a_wrong_setting_is_named(server: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVIES_ETL_PAGE_SIZE", "many")
    answer = server.get(f"{BASE}/api/movies/freshness", headers=headers("VIEWER"))
    assert answer.status_code == 503
    assert "MOVIES_ETL_PAGE_SIZE" in answer.json()["detail"]


def test_no_secret_of_a_connection_is_told(
    server: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = "c0rrect-horse-battery"  # noqa: S105 - there for being looked for
    for name in ("POSTGRES", "ELASTICSEARCH"):
        kind = name.lower()
        uri = f"{kind}://somebody:{password}@127.0.0.1:1/movies"
        monkeypatch.setenv(f"AIRFLOW_CONN_MOVIES_{name}", uri)
    for question in QUESTIONS:
        answer = server.get(f"{BASE}/{question}", headers=headers("VIEWER"))
        assert answer.status_code == 200, question
        assert password not in answer.text


def test_the_files_of_the_page_lie_in_the_package() -> None:
    assert STATIC.parent.samefile(page.__path__[0])
    assert {"index.html", "page.css", "main.js"} <= set(FILES)
