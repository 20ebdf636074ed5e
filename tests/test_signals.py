"""Signals of a run: metrics by Airflow's channel, asset events, mail, a prefix."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.models.asset import AssetEvent, AssetModel
from airflow.sdk import plugins_manager
from airflow.sdk._shared.observability.metrics import stats
from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
from airflow.sdk.execution_time import task_runner
from airflow.sdk.lineage import HookLineageReader, get_hook_lineage_collector
from airflow.sdk.plugins_manager import AirflowPlugin
from airflow.utils.session import create_session
from movies_etl.airflow import deadline, follow_task, metrics
from movies_etl.airflow.hooks import MoviesElasticsearchHook, MoviesPostgresHook
from movies_etl.definitions.movies import FILM_WORK, MOVIES
from movies_etl.es.transport import Traffic
from movies_etl.follow.run import Stores
from movies_etl.state.database import Database
from movies_etl.state.run_context import RunContext
from movies_etl.sync.counters import Counters
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import func, select

from tests.conftest import ROOT
from tests.support.mailbox import Mailbox, mailbox
from tests.support.site import Site
from tests.support.sync_dag import SyncDag

LATER = "2126-01-01T00:00:00.000000+00:00"


class Recorder(NoStatsLogger):
    """A backend of Airflow's metrics that keeps what it gets."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.gauges: dict[str, float] = {}

    def incr(self, stat: str, count: int = 1, **_: Any) -> None:  # type: ignore[override]
        self.counts[stat] = self.counts.get(stat, 0) + count

    def gauge(self, stat: str, value: float, **_: Any) -> None:  # type: ignore[override]
        self.gauges[stat] = value

    def ours(self) -> set[str]:
        return {name for name in (*self.counts, *self.gauges) if name.startswith("movies_etl.")}


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(stats, "_backend", recorder)
    return recorder


@pytest.fixture
def letterbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    with mailbox() as kept:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(kept.connection()))
        monkeypatch.setenv("MOVIES_ETL_ALERT_TO", "ops@example.org, search@example.org")
        monkeypatch.setenv("MOVIES_ETL_DEADLINE_MINUTES", "0")  # dag.test() cannot have one
        yield kept


def events() -> list[dict[str, Any]]:
    with create_session() as session:
        found = (
            select(AssetEvent.extra)
            .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
            .where(AssetModel.name == "movies")
            .order_by(AssetEvent.id)
        )
        return [dict(one) for one in session.scalars(found)]


def last_event() -> int:
    with create_session() as session:
        return session.scalar(select(func.max(AssetEvent.id))) or 0


@pytest.mark.long
def test_a_run_tells_metrics_an_event_and_mail_of_what_was_refused_and_an_idle_one_only_metrics(
    sync_dag: SyncDag, small: Site, recorder: Recorder, letterbox: Mailbox
) -> None:
    small.add_film("Bad", rating="NaN", modified="now()")
    known = len(events())
    assert sync_dag.run().state == "success"
    of_films = "movies_etl.movies.film_work."
    assert recorder.counts[f"{of_films}sent"] == 7
    assert recorder.counts[f"{of_films}refused"] == 1
    assert recorder.counts[f"{of_films}bulk_requests"] == 2  # one of them of the dead letter
    assert recorder.counts[f"{of_films}bulk_retries"] == 0
    assert recorder.gauges[f"{of_films}bulk_milliseconds"] > 0
    assert recorder.gauges["movies_etl.movies.dead_letters"] == 1
    assert recorder.gauges["movies_etl.movies.missing_documents"] == 0
    for name in ("film_work", "genre", "person"):
        assert 0 <= recorder.gauges[f"movies_etl.movies.{name}.lag_seconds"] < 300
    assert recorder.gauges["movies_etl.movies.horizon_age_seconds"] < 300
    (event,) = events()[known:]
    assert (event["indexed"], event["refused"], event["stream"]) == (7, 1, "film_work")
    assert letterbox.subjects() == ["Movies ETL: 1 films were refused"]
    assert letterbox.mail[0]["to"] == "ops@example.org, search@example.org"
    assert "movies-dead-letters" in letterbox.texts()[0]
    assert {name for name in recorder.ours() if "movies.genre." in name} >= {
        "movies_etl.movies.genre.sent",
        "movies_etl.movies.genre.unchanged",
    }

    assert sync_dag.run().state == "success"
    assert recorder.counts[f"{of_films}sent"] == 7
    assert len(events()) == known + 1
    assert len(letterbox.mail) == 1


def test_a_run_that_goes_on_sends_mail_of_what_it_refused_and_left_for_a_person(
    sync_dag: SyncDag,
    small: Site,  # noqa: ARG001 - has to be there
    letterbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def follow(_: object, __: object, stores: Stores) -> dict[str, Any]:
        now = stores.differences.load()
        assert now
        stores.differences.save(now.model_copy(update={"surplus": 101, "difference": -101}))
        stores.horizons.save(LATER, ())
        return Counters(indexed=3, refused=2).as_result() | {
            "cycles": 1,
            "spells": 1,
            "difference": -101,
        }

    monkeypatch.setattr(follow_task, "follow", follow)
    monkeypatch.setenv("MOVIES_ETL_FOLLOW_SECONDS", "1")
    known = len(events())
    run = sync_dag.run()
    assert (run.state, run.results["follow"]["refused"]) == ("success", 2)
    assert letterbox.subjects() == [
        "Movies ETL: 2 films were refused",
        "Movies ETL: 101 films are to be deleted, which is many",
    ]
    event = events()[known:][-1]
    assert (event["stream"], event["indexed"], event["horizon"]) == ("follow", 3, LATER)


def test_a_task_that_fails_for_good_sends_its_reason(
    sync_dag: SyncDag, small: Site, letterbox: Mailbox
) -> None:
    small.execute("ALTER TABLE content.genre DROP COLUMN name")
    assert sync_dag.run().state == "failed"
    assert letterbox.subjects() == ["Movies ETL: movies_sync: task init failed"]
    assert "genre" in letterbox.texts()[0]
    assert "does not fit" in letterbox.texts()[0]


def test_lineage_has_the_tables_that_a_task_reads_and_the_index_that_it_writes(
    sync_dag: SyncDag, small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reading(AirflowPlugin):
        name = "reads lineage"
        hook_lineage_readers = [HookLineageReader]  # noqa: RUF012 - as plugins have it

    known = plugins_manager.get_hook_lineage_readers_plugins()
    monkeypatch.setattr(
        plugins_manager, "get_hook_lineage_readers_plugins", lambda: [*known, Reading]
    )
    get_hook_lineage_collector.cache_clear()
    try:
        assert sync_dag.run().state == "success"
        told = HookLineageReader().retrieve_hook_lineage()  # type: ignore[no-untyped-call]
    finally:
        get_hook_lineage_collector.cache_clear()
    at = conninfo_to_dict(small.dsn)
    server = f"postgres://{at['host']}:{at['port']}/{at['dbname']}/content"
    tables = ("film_work", "genre", "genre_film_work", "person", "person_film_work")
    assert {one.asset.uri for one in told.inputs} == {f"{server}/{table}" for table in tables}
    assert {one.asset.uri for one in told.outputs} == {"elasticsearch://movies/"}
    assert {type(one.context) for one in told.inputs} == {MoviesPostgresHook}
    assert {type(one.context) for one in told.outputs} == {MoviesElasticsearchHook}


def minutes(dag_id: str) -> float | None:
    """Return after how many minutes a run is told; None when it never is."""
    alerts: Any = DagBag(dag_folder=str(ROOT / "dags")).dags[dag_id].deadline
    return alerts[0].interval.total_seconds() / 60 if alerts else None


def test_runs_that_follow_have_their_time_on_top_of_the_deadline_and_those_that_ask_have_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert minutes("movies_sync") is None  # nobody is to be told
    monkeypatch.setenv("MOVIES_ETL_ALERT_TO", "ops@example.org")
    assert minutes("movies_sync") == minutes("genres_sync") == minutes("movies_reconcile") == 60
    assert minutes("movies_purge") is minutes("movies_reindex") is None
    monkeypatch.setenv("MOVIES_ETL_FOLLOW_SECONDS", "300")
    # It stands by until another one ends, follows as long as that one did, and then stands in.
    assert minutes("movies_sync") == 60 + 5 + 1 + 5 + 5
    assert minutes("movies_reconcile") == 60
    monkeypatch.setenv("MOVIES_ETL_DEADLINE_MINUTES", "0")
    assert minutes("movies_sync") is None


@pytest.mark.parametrize(
    ("state", "subject"),
    [
        ("running", "Movies ETL: movies_sync goes on for more than 60 minutes"),
        ("queued", "Movies ETL: movies_sync waits to begin for more than 60 minutes"),
        ("failed", None),
        ("success", None),
    ],
)
def test_mail_tells_of_a_run_that_is_not_over(
    letterbox: Mailbox, state: str, subject: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A DAG that another test ran in this process leaves one, which no coroutine may wait for.
    monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS", raising=False)
    run = {"dag_id": "movies_sync", "dag_run_id": "scheduled__<1>", "state": state}
    asyncio.run(deadline.tell(["ops@example.org"], 60, context={"dag_run": run}))
    assert letterbox.subjects() == ([subject] if subject else [])
    assert ["scheduled__&lt;1&gt;" in text for text in letterbox.texts()] == [True] * bool(subject)


def test_mail_that_cannot_be_sent_fails_nothing(
    sync_dag: SyncDag, small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    smtp = {"conn_type": "smtp", "host": "127.0.0.1", "port": 1, "extra": {"disable_ssl": True}}
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(smtp))
    monkeypatch.setenv("MOVIES_ETL_ALERT_TO", "ops@example.org")
    monkeypatch.setenv("MOVIES_ETL_DEADLINE_MINUTES", "0")  # dag.test() cannot have one
    small.add_film("Bad", rating="NaN", modified="now()")
    run = sync_dag.run()
    assert run.state == "success"
    assert run.counters("refused") == [1, 0, 0]


def test_a_prefix_stands_before_the_names_of_what_the_dag_makes(
    sync_dag: SyncDag, small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIES_ETL_INDEX_PREFIX", "staging-")
    assert sync_dag.run().state == "success"
    assert small.client.count(index="staging-movies")["count"] == 7
    made = {*small.client.indices.get(index="*")}
    assert all(name.startswith("staging-movies-") for name in made)


TOLD = """
from airflow.sdk._shared.observability.metrics import stats
from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
from airflow.sdk.observability.metrics import stats_utils
stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
from movies_etl.airflow import metrics
from movies_etl.airflow.hooks import MoviesElasticsearchHook, MoviesPostgresHook
from movies_etl.definitions.movies import MOVIES
from movies_etl.es.transport import Traffic
result = {"indexed": 20, "seconds": 4.0, "difference": -3}
metrics.of_stream("person", MOVIES, result, 12.5, Traffic())
"""


def test_an_opentelemetry_collector_has_the_metrics_when_the_process_has_ended() -> None:
    received: dict[str, float] = {}

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            for one in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for metric in (metric for scope in one.scope_metrics for metric in scope.metrics):
                    points = metric.gauge.data_points or metric.sum.data_points
                    for point in points:
                        received[metric.name] = point.as_double or point.as_int
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_address[1]}/v1/metrics"
            environment = os.environ | {
                "AIRFLOW__METRICS__OTEL_ON": "True",
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": address,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_METRIC_EXPORT_INTERVAL": "30000",
                "PYTHONPATH": str(ROOT / "plugins"),
            }
            subprocess.run([sys.executable, "-c", TOLD], check=True, env=environment, timeout=120)
        finally:
            server.shutdown()
            thread.join()
    ours = {name: value for name, value in received.items() if "movies_etl" in name}
    assert ours["airflow.movies_etl.movies.person.sent"] == 20
    assert ours["airflow.movies_etl.movies.person.lag_seconds"] == 12.5
    assert ours["airflow.movies_etl.movies.person.documents_per_second"] == 5
    assert ours["airflow.movies_etl.movies.surplus_documents"] == 3
    assert ours["airflow.movies_etl.movies.missing_documents"] == 0


def test_a_statsd_server_is_sent_the_metrics_with_the_stream_in_the_name() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(60)
        environment = os.environ | {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(server.getsockname()[1]),
            "PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), *sys.path]),
        }
        subprocess.run([sys.executable, "-c", TOLD], check=True, env=environment, timeout=120)
        told: list[str] = []
        while not any("surplus_documents" in one for one in told):  # it is told last
            told += server.recv(65_536).decode().splitlines()
    ours = {one for one in told if ".movies_etl." in one}
    assert {
        "airflow.movies_etl.movies.person.sent:20|c",
        "airflow.movies_etl.movies.person.lag_seconds:12.5|g",
        "airflow.movies_etl.movies.person.documents_per_second:5.0|g",
        "airflow.movies_etl.movies.surplus_documents:3|g",
        "airflow.movies_etl.movies.missing_documents:0|g",
    } <= ours


OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
ALARMS = OPERATIONS.partition("## When an alarm goes off")[2].partition("\n## ")[0]
DASHBOARDS = ROOT / "docs" / "dashboards"


def all_that_is_told(recorder: Recorder) -> set[str]:
    """Tell everything that there is of one stream; return names with placeholders."""
    context = RunContext(
        index="i",
        uuid="u",
        database=Database(name="movies"),
        m2m_start="2026-01-01T00:00:09.000000+00:00",
        horizon="2026-01-01T00:00:02.500000+00:00",
        version=1,
    )
    traffic = Traffic()
    traffic.add(0.5, 200)
    metrics.of_init(MOVIES, context)
    result = {"indexed": 1, "seconds": 1.0, "difference": 0}
    metrics.of_stream(FILM_WORK.name, MOVIES, result, -1, traffic)
    metrics.of_letters(MOVIES, 0)
    metrics.of_reconcile(MOVIES, {"verified_age_seconds": 1.0, "missing": 2, "unanswered": 1})
    assert recorder.gauges["movies_etl.movies.horizon_age_seconds"] == 6.5
    assert recorder.gauges["movies_etl.movies.film_work.lag_seconds"] == 0
    assert recorder.counts["movies_etl.movies.reconcile.missing"] == 2
    assert recorder.counts["movies_etl.movies.reconcile.unanswered"] == 1
    return {
        one.replace(".movies.film_work.", ".<index>.<stream>.").replace(".movies.", ".<index>.")
        for one in recorder.ours()
    }


def test_the_docs_list_every_metric_and_no_other(recorder: Recorder) -> None:
    listed = re.findall(r"^\| `(movies_etl\.[^`]+)` \|", OPERATIONS, flags=re.MULTILINE)
    assert set(listed) == all_that_is_told(recorder)


def test_the_docs_say_what_to_do_about_each_alarm() -> None:
    rules = re.findall(r"- alert: (\w+)", (DASHBOARDS / "alerts.yaml").read_text())
    assert len(rules) >= 7
    assert sorted(re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", ALARMS, re.MULTILINE)) == sorted(rules)


@pytest.mark.parametrize("name", ["grafana.json", "alerts.yaml"])
def test_dashboard_and_alerts_ask_for_metrics_that_are_told(recorder: Recorder, name: str) -> None:
    told = all_that_is_told(recorder)
    ends = {re.sub(r"movies_etl(\.<\w+>)+\.", "", one).replace(".", "_") for one in told}
    counters = {re.sub(r"[.]", "_", one.rpartition("movies.")[2]) for one in recorder.counts}
    counters = {one.removeprefix("film_work_") for one in counters}
    text = (DASHBOARDS / name).read_text()
    asked = re.findall(r"airflow_movies_etl_(?:\.\+_|movies_film_work_)(\w+)", text)
    assert len(asked) >= 7
    assert {one.removesuffix("_total") for one in asked} <= ends
    assert {one.removesuffix("_total") for one in asked if one.endswith("_total")} <= counters
    if name == "grafana.json":
        assert {one.removesuffix("_total") for one in asked} == ends
        assert json.loads(text)["panels"]
