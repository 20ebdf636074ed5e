"""Makes the Elasticsearch index `genres` anew while people search, and gives it the alias.

Tasks, params and settings are those of `movies_reindex`.
"""

from __future__ import annotations

from movies_etl.airflow.dags import reindex_dag
from movies_etl.definitions.genres import GENRES

reindex_dag(GENRES, doc_md=__doc__)
