"""Makes the Elasticsearch index `persons` anew while people search, and gives it the alias.

Tasks, params and settings are those of `movies_reindex`.
"""

from __future__ import annotations

from movies_etl.airflow.dags import reindex_dag
from movies_etl.definitions.persons import PERSONS

reindex_dag(PERSONS, doc_md=__doc__)
