"""Every setting of the program, read in one place from ``MOVIES_ETL_*`` variables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from croniter import croniter
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ByteSize,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from movies_etl.errors import ConfigurationError, on_one_line, problems

PREFIX = "MOVIES_ETL_"


_WITHOUT_CRON = ("@continuous", "@once")
"""Schedules of Airflow that are no cron expressions."""


def _none_if_blank(text: object) -> object:
    return None if isinstance(text, str) and not text.strip() else text


def _comes_due(schedule: str | None) -> str | None:
    """Refuse what is no cron expression, or one of a day that never comes."""
    if schedule is not None and schedule not in _WITHOUT_CRON:
        try:
            croniter(schedule).get_next()
        except ValueError as error:
            reason = str(error).rstrip(".")
            msg = f"{schedule!r} is no usable cron expression ({reason}); empty means by hand only"
            raise ValueError(msg) from error
    return schedule


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


Schedule = Annotated[str | None, BeforeValidator(_none_if_blank), AfterValidator(_comes_due)]
"""When a DAG runs: a cron expression, or None: only when somebody triggers it."""


def _include_dir() -> Path:
    """Return where the folder lies by itself: inside a wheel's package, or beside ``plugins/``."""
    here = Path(__file__).resolve()
    packaged = here.with_name("include")
    return packaged if packaged.is_dir() else here.parents[2] / "include"


class Settings(BaseSettings):
    """The settings and their defaults; each is an environment variable with the prefix."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, populate_by_name=True)

    schedule: Schedule = "* * * * *"
    """When the sync DAGs run: a cron expression; empty: by hand only."""

    reconcile_schedule: Schedule = "*/5 * * * *"
    """When the reconcile DAGs run: a cron expression; empty: by hand only."""

    approvers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)] = ()
    """Users who may answer the purge DAGs, separated by commas; empty: all with that right."""

    approval_hours: Annotated[float, Field(gt=0)] = 24.0
    """Hours after which a question of the purge DAGs counts as answered with Reject."""

    follow_seconds: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    """Seconds for which a run of the sync DAGs goes on and loads each change as soon as it is
    committed; 0: a run ends when it has loaded what there was."""

    poll_seconds: Annotated[float, Field(ge=0.01, le=60)] = 0.1
    """Seconds between two looks for changes while a run goes on."""

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

    replica_conn_id: Annotated[str, StringConstraints(strip_whitespace=True)] = ""
    """The Airflow connection to a standby on which pages and documents are read; empty: they are
    read on the primary."""

    replica_wait: Annotated[float, Field(ge=0, le=600)] = 10.0
    """Seconds that a task waits for the replica to catch up before it reads the primary."""

    alert_to: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)] = ()
    """Addresses, separated by commas, that mail is sent to; by Airflow's connection for mail."""

    deadline_minutes: Annotated[float, Field(ge=0)] = 60.0
    """Minutes after which mail says that a run of the sync and reconcile DAGs is not over; 0:
    never."""

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

    keep_indices: Annotated[int, Field(ge=0, le=20)] = 1
    """Indexes that are kept, and fed, after another one took their alias."""

    reindex_tasks: Annotated[int, Field(ge=1, le=1000)] = 2
    """Ranges of ids that a rebuild loads at once."""

    include_dir: Path = _include_dir()
    """The folder with ``sql/`` and ``elasticsearch/``."""


def load_settings() -> Settings:
    """Read the settings.

    :raises ConfigurationError: a variable is not valid, or is no setting; names it.
    """
    known = [variable(field) for field in Settings.model_fields]
    if unknown := sorted(_given() - set(known)):
        raise ConfigurationError(
            f"Fix the environment of Airflow: no setting is named {', '.join(unknown)}; the "
            f"settings are {', '.join(known)}."
        )
    try:
        return Settings()
    except ValidationError as error:
        said = problems(error, name=variable)
        raise ConfigurationError(f"Fix the environment of Airflow: {said}.") from None


def _given() -> set[str]:
    """Return the variables of the environment that should be settings; their case is ignored."""
    return {name.upper() for name in os.environ if name.upper().startswith(PREFIX)}


def included(file: Path) -> str:
    """Read a file of the folder with queries and mappings.

    :raises ConfigurationError: it cannot be read; names the setting that says where it lies.
    """
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{file.absolute()} cannot be read ({on_one_line(error)}). The folder include/, whole "
            f"and readable, belongs beside plugins/, or where {variable('include_dir')} says."
        ) from error


def variable(field: str) -> str:
    """Return the environment variable of a setting."""
    alias = (
        Settings.model_fields[field].validation_alias if field in Settings.model_fields else None
    )
    if isinstance(alias, str):
        return alias
    return field if field.startswith(PREFIX) else f"{PREFIX}{field.upper()}"
