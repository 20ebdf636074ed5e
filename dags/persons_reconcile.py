"""Finds what `modified` cannot show, and corrects the Elasticsearch index `persons`.

Tasks, params and settings are those of `movies_reconcile`; its state is the Variable
`movies_etl.persons.reconcile`.
"""

from __future__ import annotations

from movies_etl.airflow.dags import reconcile_dag
from movies_etl.definitions.persons import PERSONS

reconcile_dag(PERSONS, doc_md=__doc__)
