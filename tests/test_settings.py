"""Settings: their defaults, their environment variables, and what is said of wrong ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from movies_etl.definitions.movies import MOVIES
from movies_etl.errors import ConfigurationError
from movies_etl.es.admin import described
from movies_etl.postgres.queries import filled
from movies_etl.settings import included, load_settings
from pydantic import ValidationError


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("MOVIES_ETL_"):
            monkeypatch.delenv(name)


def test_the_defaults_are_the_documented_ones() -> None:
    settings = load_settings()
    assert settings.schedule == "* * * * *"
    assert settings.page_size == 1000
    assert settings.bulk_bytes == 5_000_000
    assert settings.senders == 2
    assert settings.horizon_margin == 5
    assert settings.patience == 120
    assert settings.timestamp_zone == "UTC"


def test_queries_and_mapping_are_found_beside_the_plugins_folder() -> None:
    folder = load_settings().include_dir
    assert folder == Path(__file__).parents[1] / "include"
    assert (folder / "sql" / "movies" / "documents.sql").is_file()
    assert (folder / "elasticsearch" / "movies.json").is_file()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("SCHEDULE", "*/5 * * * *", "*/5 * * * *"),
        ("SCHEDULE", "@hourly", "@hourly"),
        ("SCHEDULE", "@continuous", "@continuous"),
        ("SCHEDULE", "", None),
        ("SCHEDULE", " ", None),
        ("PAGE_SIZE", "1", 1),
        ("PAGE_SIZE", "10000", 10_000),
        ("BULK_BYTES", "2MB", 2_000_000),
        ("BULK_BYTES", "1000", 1000),
        ("SENDERS", "16", 16),
        ("HORIZON_MARGIN", "0", 0.0),
        ("PATIENCE", "0.5", 0.5),
        ("TIMESTAMP_ZONE", "Europe/Moscow", "Europe/Moscow"),
        ("INCLUDE_DIR", "/somewhere", Path("/somewhere")),
    ],
)
def test_each_setting_is_an_environment_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object
) -> None:
    monkeypatch.setenv(f"MOVIES_ETL_{name}", text)
    assert getattr(load_settings(), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SCHEDULE", "hourly"),
        ("SCHEDULE", "61 * * * *"),
        ("SCHEDULE", "0 0 30 2 *"),  # there is no such day
        ("PAGE_SIZE", ""),
        ("PAGE_SIZE", "0"),
        ("PAGE_SIZE", "10001"),
        ("PAGE_SIZE", "many"),
        ("BULK_BYTES", "999"),
        ("BULK_BYTES", "100MB"),
        ("SENDERS", "0"),
        ("SENDERS", "17"),
        ("HORIZON_MARGIN", "-1"),
        ("PATIENCE", "-0.1"),
        ("TIMESTAMP_ZONE", "Mars/Olympus"),
        ("TIMESTAMP_ZONE", "../etc"),
        ("TIMESTAMP_ZONE", ""),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(f"MOVIES_ETL_{name}", text)
    with pytest.raises(ConfigurationError, match=f"MOVIES_ETL_{name}: "):
        load_settings()


def test_every_wrong_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVIES_ETL_PAGE_SIZE", "0")
    monkeypatch.setenv("MOVIES_ETL_SENDERS", "none")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "MOVIES_ETL_PAGE_SIZE: " in str(caught.value)
    assert "MOVIES_ETL_SENDERS: " in str(caught.value)


@pytest.mark.parametrize("name", ["MOVIES_ETL_PAGESIZE", "movies_etl_page_sise"])
def test_a_misspelt_setting_is_refused_with_the_names_of_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "50")
    with pytest.raises(ConfigurationError, match=name.upper()) as caught:
        load_settings()
    for known in ("MOVIES_ETL_PAGE_SIZE", "MOVIES_ETL_SCHEMA", "MOVIES_ETL_INCLUDE_DIR"):
        assert known in str(caught.value)


def test_the_case_of_a_settings_name_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("movies_etl_page_size", "50")
    assert load_settings().page_size == 50


@pytest.mark.parametrize("file", ["sql/session.sql", "elasticsearch/movies.json"])
def test_a_missing_include_folder_is_told_with_the_setting_that_names_it(
    tmp_path: Path, file: str
) -> None:
    with pytest.raises(ConfigurationError, match="MOVIES_ETL_INCLUDE_DIR") as caught:
        included(tmp_path / "include" / file)
    assert f"{tmp_path}/include/{file} cannot be read" in str(caught.value)


def test_queries_and_mappings_are_read_from_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="MOVIES_ETL_INCLUDE_DIR"):
        filled(tmp_path / "session.sql", {})
    with pytest.raises(ConfigurationError, match="MOVIES_ETL_INCLUDE_DIR"):
        described(MOVIES, tmp_path)
    (tmp_path / "elasticsearch").mkdir()
    (tmp_path / "elasticsearch" / "movies.json").write_text("{,}")
    with pytest.raises(ConfigurationError, match=r"elasticsearch/movies\.json is not valid JSON"):
        described(MOVIES, tmp_path)


def test_an_unknown_zone_is_told_how_zones_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVIES_ETL_TIMESTAMP_ZONE", "CEST")
    with pytest.raises(ConfigurationError, match=r"'CEST'; use a name like Europe/Berlin"):
        load_settings()


def test_settings_do_not_change_during_a_run() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().page_size = 5  # type: ignore[misc]  # that is the test
