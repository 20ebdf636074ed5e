"""Every setting of the program, read in one place from ``MOVIES_ETL_*`` variables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from movies_etl.errors import ConfigurationError

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

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    schedule: str = "* * * * *"
    """When ``movies_sync`` runs: a cron expression."""

    page_size: Annotated[int, Field(ge=1, le=10_000)] = 1000
    """Rows a page of changed rows, and films a page of documents; a first load's pages grow."""

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

    include_dir: Path = Path(__file__).resolve().parents[2] / "include"
    """The folder with ``sql/`` and ``elasticsearch/``."""


def load_settings() -> Settings:
    """Read the settings.

    :raises ConfigurationError: a variable has a value that is not valid; names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        complaints = "; ".join(
            f"{PREFIX}{str(problem['loc'][0]).upper()}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ConfigurationError(f"Mend the environment of Airflow: {complaints}") from error
