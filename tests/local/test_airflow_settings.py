"""The environment of the local Airflow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.airflow_settings import AirflowSettings


@pytest.fixture
def settings(tmp_path: Path) -> AirflowSettings:
    """Settings of an Airflow that nobody starts."""
    return AirflowSettings(
        home=tmp_path / "airflow",
        port=21_080,
        database="postgresql+psycopg2://airflow@127.0.0.1:21432/airflow",
        checkout=tmp_path,
        connections={"movies_postgres": {"conn_type": "postgres", "port": 21_432}},
    )


def test_the_password_is_made_once_and_for_its_owner_only(settings: AirflowSettings) -> None:
    password = settings.password()
    assert len(password) >= 12
    assert settings.password() == password
    assert settings.password_file.stat().st_mode & 0o777 == 0o600
    assert json.loads(settings.password_file.read_text()) == {"admin": password}


def test_every_setting_with_a_port_has_the_port(settings: AirflowSettings) -> None:
    variables = settings.variables()
    for name in (
        "AIRFLOW__API__PORT",
        "AIRFLOW__API__BASE_URL",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    ):
        assert "21080" in variables[name], name


def test_connections_are_json(settings: AirflowSettings) -> None:
    connection = json.loads(settings.variables()["AIRFLOW_CONN_MOVIES_POSTGRES"])
    assert connection == {"conn_type": "postgres", "port": 21_432}


def test_another_airflow_of_the_user_takes_no_part(
    settings: AirflowSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW_VAR_THEIRS", "1")
    monkeypatch.setenv("AIRFLOW_CONN_THEIRS", "{}")
    monkeypatch.setenv("MOVIES_ETL_PAGE_SIZE", "7")
    environment = settings.environment()
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert not {"AIRFLOW_VAR_THEIRS", "AIRFLOW_CONN_THEIRS"} & environment.keys()
    assert environment["MOVIES_ETL_PAGE_SIZE"] == "7"
