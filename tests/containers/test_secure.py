"""containers/secure.yaml: who has no certificate, password or right stays outside."""

from __future__ import annotations

import json
from collections.abc import Iterator

import elasticsearch
import httpx
import psycopg
import pytest
from elasticsearch import Elasticsearch
from psycopg.conninfo import make_conninfo

from tests.containers.stack import SecureStack, running
from tests.support.compose_files import ROOT, SECURE

pytestmark = [pytest.mark.timeout(3600), pytest.mark.usefixtures("images")]

FILMS = 17_472
ROLE = json.loads((ROOT / "include/elasticsearch/setup/role.json").read_text())


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureStack]:
    with running(SecureStack(tmp_path_factory.mktemp("secure"))) as stack:
        yield stack


def test_it_comes_up_healthy_and_loads_every_film(stack: SecureStack) -> None:
    unwell = {
        name: state
        for name, state in stack.services().items()
        if state not in ("running healthy", "exited")
    }
    assert unwell == {}
    stack.synced()
    assert stack.assert_equal() >= FILMS


def test_a_change_is_found_after_elasticsearch_restarted(stack: SecureStack) -> None:
    stack.quiet()
    with stack.catalogue() as catalogue:
        film = catalogue.add_film("Added before the restart", modified="now")
    stack.compose("restart", "elasticsearch")
    stack.up()  # a run that begins waits for no more than some seconds
    stack.synced()
    with stack.elasticsearch() as client:
        assert client.exists(index="movies", id=film)


def test_postgres_wants_tls_the_authority_and_the_password(stack: SecureStack) -> None:
    with psycopg.connect(stack.dsn) as connection:
        used = connection.execute(
            "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).fetchone()
    assert used == ("TLSv1.3",)
    for name, value, said in (
        ("sslmode", "disable", "no encryption"),
        ("sslrootcert", "system", "certificate verify failed"),
        ("password", "wrong", "password authentication failed"),
    ):
        with pytest.raises(psycopg.OperationalError, match=said):
            psycopg.connect(make_conninfo(stack.dsn, **{name: value}))


def test_the_dags_can_read_the_catalogue_and_no_more(stack: SecureStack) -> None:
    dsn = make_conninfo(
        stack.dsn, user="movies_etl", password=stack.secrets["MOVIES_POSTGRES_PASSWORD"]
    )
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM content.person").fetchone() == (True,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM content.person")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(make_conninfo(dsn, dbname="airflow"))


def test_elasticsearch_wants_tls_the_authority_and_the_password(stack: SecureStack) -> None:
    port = stack.ports["ELASTICSEARCH"]
    with (
        Elasticsearch(f"http://127.0.0.1:{port}", max_retries=0) as client,
        pytest.raises(elasticsearch.ConnectionError),
    ):
        client.info()
    with (
        Elasticsearch(f"https://127.0.0.1:{port}", max_retries=0) as client,
        pytest.raises(elasticsearch.SSLError),
    ):
        client.info()
    with (
        stack.elasticsearch() as client,
        pytest.raises(elasticsearch.AuthenticationException),
    ):
        client.options(basic_auth=("elastic", "wrong")).info()


def test_the_dags_write_the_index_with_the_role_of_the_repository(stack: SecureStack) -> None:
    with stack.elasticsearch() as client:
        role = client.security.get_role(name="movies_etl")["movies_etl"]
        login = ("movies_etl", stack.secrets["MOVIES_ELASTICSEARCH_PASSWORD"])
        assert client.options(basic_auth=login).count(index="movies")["count"] > 0
    assert role["cluster"] == ROLE["cluster"]
    assert role["indices"][0]["privileges"] == ROLE["indices"][0]["privileges"]


def test_airflow_speaks_tls_only(stack: SecureStack) -> None:
    port = stack.ports["AIRFLOW"]
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{port}/api/v2/monitor/health")
    page = f"https://127.0.0.1:{port}/api/v2/monitor/health"
    assert httpx.get(page, verify=stack.verify).status_code == 200


def test_containers_are_locked(stack: SecureStack) -> None:
    for container in stack.containers():
        service = container["Config"]["Labels"]["com.docker.compose.service"]
        config = container["HostConfig"]
        assert config["ReadonlyRootfs"] == SECURE["services"][service].get("read_only", False)
        assert "no-new-privileges:true" in config["SecurityOpt"], service
        assert config["CapDrop"] == ["ALL"], service
        assert config["Memory"] > 0, service


def test_certificates_stay_the_same_and_keys_are_for_their_server_alone(
    stack: SecureStack,
) -> None:
    before = stack.authority.read_text()
    stack.compose("down")
    stack.up()
    assert stack.execute("airflow-scheduler", "cat", "/tls/ca/ca.crt") == before
    looked = stack.execute("airflow-scheduler", "find", "/tls", "-type", "f")
    assert looked.split() == ["/tls/ca/ca.crt"]
    owner = stack.execute("airflow-apiserver", "stat", "-c", "%u %a", "/tls/own/server.key")
    assert owner.split() == ["50000", "400"]


def test_no_secret_is_in_the_logs(stack: SecureStack) -> None:
    stack.synced()
    printed = stack.logs()
    assert "movies_sync" in printed
    assert [name for name, secret in stack.secrets.items() if secret in printed] == []
