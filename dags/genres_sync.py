"""Keeps the Elasticsearch index `genres` equal to the film catalogue's genres.

`init` checks both servers and notes the database's time; `genre` loads changed genres. State,
params and settings are those of `movies_sync`; cursors are Variables `movies_etl.genres.cursor.*`,
refused documents are kept in `genres-dead-letters`.
"""

from __future__ import annotations

from movies_etl.airflow.dags import sync_dag
from movies_etl.definitions.genres import GENRES

sync_dag(GENRES, doc_md=__doc__)
