"""Asks a person before many documents of the index `genres` are deleted or rewritten.

Tasks, params and settings are those of `movies_purge`; the lists lie in the index
`genres-reconcile`.
"""

from __future__ import annotations

from movies_etl.airflow.dags import purge_dag
from movies_etl.definitions.genres import GENRES

purge_dag(GENRES, doc_md=__doc__)
