"""Keeps the Elasticsearch index `movies` equal to the PostgreSQL film catalogue.

**What it does.** `init` checks both servers, creates the index when there is none and notes the
database's time; `film_work` loads changed films, then `genre` and `person` load the films of
changed genres and persons. Films come first in every run, also in the one after a crash.
Last of all `person` looks whether films were deleted, by table statistics and counts, and deletes
their documents; about more than 100 that are more than 5 % `movies_purge` asks a person.

**State.** Each stream's cursor is a Variable, `movies_etl.cursor.<stream>`, saved after
Elasticsearch has confirmed a page. A run that finds nothing sends nothing.

**Load again.** Trigger with `reload`: `all`, or one stream. Or delete the cursors' Variables:
without `movies_etl.cursor.film_work` everything is loaded again. Clearing a task repeats it from
the present cursor.

**Look.** The page [Movies](plugin/movies) says whether search is up to date and why a film is not
found, and lists what was refused.

**Needs.** Connections `movies_postgres` and `movies_elasticsearch`. Settings are environment
variables `MOVIES_ETL_*`. Documents that are refused are kept in `movies-dead-letters`.
"""

from __future__ import annotations

from movies_etl.airflow.dags import sync_dag
from movies_etl.definitions.movies import MOVIES

sync_dag(MOVIES, doc_md=__doc__)
