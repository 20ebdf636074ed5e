"""Finds what `modified` cannot show, and corrects the Elasticsearch index `genres`.

Tasks, params and settings are those of `movies_reconcile`; its state is the Variable
`movies_etl.genres.reconcile`.
"""

from __future__ import annotations

from movies_etl.airflow.dags import reconcile_dag
from movies_etl.definitions.genres import GENRES

reconcile_dag(GENRES, doc_md=__doc__)
