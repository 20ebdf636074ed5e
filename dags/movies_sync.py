"""Keep the Elasticsearch index `movies` equal to the PostgreSQL film catalogue.

Deleted films and links are not followed yet; task `person` warns when the numbers of films stay
apart.

**What it does.** `init` checks both servers, creates the index when there is none and notes the
database's time; `film_work` loads changed films, then `genre` and `person` load the films of
changed genres and persons. Films come first in every run, also in the one after a crash.

**State.** Each stream's cursor is a Variable, `movies_etl.cursor.<stream>`, saved after
Elasticsearch has confirmed a page. A run that finds nothing sends nothing.

**Load again.** Trigger with `reload`: `all`, or one stream. Or delete the cursors' Variables:
without `movies_etl.cursor.film_work` everything is loaded again. Clearing a task repeats it from
the present cursor.

**Needs.** Connections `movies_postgres` and `movies_elasticsearch`. Settings are environment
variables `MOVIES_ETL_*`. Documents that are refused are kept in `movies-dead-letters`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import Param, dag
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule
from movies_etl.airflow.tasks import init, sync_task
from movies_etl.definitions.movies import FILM_WORK, GENRE, PERSON
from movies_etl.settings import load_settings

settings = load_settings()

ONLY_WHAT_MAY_PASS = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=[
                "movies_etl.errors.ConfigurationError",
                "movies_etl.errors.RefusedDocumentsError",
            ],
            action=RetryAction.FAIL,
            reason="somebody has to fix something first",
        )
    ]
)
NEVER = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="movies_etl.errors.MoviesEtlError",
            action=RetryAction.FAIL,
            reason="the servers were waited for; the next run tries again",
        )
    ]
)


@dag(
    dag_id="movies_sync",
    doc_md=__doc__,
    schedule=settings.schedule,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    allowed_run_types=["scheduled", "manual"],  # type: ignore[list-item]  # strings are documented
    tags=["movies", "elasticsearch", "postgresql"],
    default_args={
        "owner": "movies-etl",
        "retries": 2,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(seconds=60),
        "retry_policy": ONLY_WHAT_MAY_PASS,
        "max_active_tis_per_dag": 1,
    },
    params={
        "page_size": Param(
            settings.page_size,
            type="integer",
            minimum=1,
            maximum=10_000,
            title="Page size",
            description="Rows per page of changes and films per page of documents. Pages of a "
            "first load or a reload grow beyond it.",
        ),
        "reload": Param(
            "none",
            type="string",
            enum=["none", "all", "film_work", "genre", "person"],
            title="Load again",
            description="Forget the cursor of this stream (or of all) and load it from the "
            "beginning.",
        ),
        "ids": Param(
            [],
            type=["null", "array"],
            items={"type": "string", "minLength": 1},
            title="Films to load again",
            description="Film ids, one per line. They are sent even if the index already has the "
            "same document.",
        ),
        "replay": Param(
            [],
            type=["null", "array"],
            items={"type": "string", "minLength": 1},
            title="Dead letters to try again",
            description="Ids of films whose refused documents are to be tried again, one per "
            "line, or `all`.",
        ),
    },
)
def movies_sync() -> None:
    """Wire the tasks."""
    context = init.override(retry_policy=NEVER)()
    films = sync_task(FILM_WORK)(context)
    genres = sync_task(GENRE)(context)
    persons = sync_task(PERSON)(context)
    context >> films >> genres >> persons


movies_sync()
