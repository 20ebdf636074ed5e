"""Every setting of the program, read in one place from ``MOVIES_ETL_*`` variables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from movies_etl.errors import ConfigurationError, problems

PREFIX = "MOVIES_ETL_"


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        msg = f"no time zone is named {name!r}; use a name like Europe/Berlin"
        raise ValueError(msg) from error
    return name


def _names(text: object) -> object:
    if isinstance(text, str):
        return tuple(name.strip() for name in text.split(",") if name.strip())
    return text


class Settings(BaseSettings):
    """The settings and their defaults; each is an environment variable with the prefix."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, populate_by_name=True)

    schedule: str = "* * * * *"
    """When the sync DAGs run: a cron expression."""

    page_size: Annotated[int, Field(ge=1, le=10_000)] = 1000
    """Changed rows per page, and documents per page; the pages of a first load grow."""

    bulk_bytes: Annotated[ByteSize, Field(ge=1_000, le=90_000_000)] = ByteSize(5_000_000)
    """Size of a bulk request; Elasticsearch refuses more than 100 MB."""

    senders: Annotated[int, Field(ge=1, le=16)] = 2
    """Bulk requests in flight at once."""

    horizon_margin: Annotated[float, Field(ge=0)] = 5.0
    """Seconds that the safe horizon stays behind the oldest open transaction."""

    horizon_ignore: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)] = ()
    """Roles whose transactions never write, separated by commas; they do not hold the horizon."""

    patience: Annotated[float, Field(ge=0)] = 120.0
    """Seconds that a task waits for a lost or overloaded server before it fails."""

    timestamp_zone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    """The zone of ``timestamp without time zone`` columns."""

    index_prefix: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9_.-]*)?$", max_length=100)] = ""
    """What stands before every name in Elasticsearch: aliases, indexes, templates."""

    schema_name: Annotated[str, Field(min_length=1, validation_alias=f"{PREFIX}SCHEMA")] = "content"
    """The schema that holds the catalogue."""

    modified_column: Annotated[str, Field(min_length=1)] = "modified"
    """What the catalogue calls the time of a row's last change."""

    created_column: Annotated[str, Field(min_length=1)] = "created"
    """What the catalogue calls the time at which a link was made."""

    include_dir: Path = Path(__file__).resolve().parents[2] / "include"
    """The folder with ``sql/`` and ``elasticsearch/``."""


def load_settings() -> Settings:
    """Read the settings.

    :raises ConfigurationError: a variable has a value that is not valid; names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        said = problems(error, name=variable)
        raise ConfigurationError(f"Fix the environment of Airflow: {said}.") from error


def variable(field: str) -> str:
    """Return the environment variable of a setting."""
    alias = (
        Settings.model_fields[field].validation_alias if field in Settings.model_fields else None
    )
    if isinstance(alias, str):
        return alias
    return field if field.startswith(PREFIX) else f"{PREFIX}{field.upper()}"
