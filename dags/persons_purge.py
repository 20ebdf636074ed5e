"""Asks a person before many documents of the index `persons` are deleted or rewritten.

Tasks, params and settings are those of `movies_purge`; the lists lie in the index
`persons-reconcile`.
"""

from __future__ import annotations

from movies_etl.airflow.dags import purge_dag
from movies_etl.definitions.persons import PERSONS

purge_dag(PERSONS, doc_md=__doc__)
