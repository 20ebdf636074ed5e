"""Keeps the Elasticsearch index `persons` equal to the film catalogue's persons.

A document is a person with the films that the person took part in. `init` checks both servers and
notes the database's time; `person` loads changed persons and persons with new links to films;
`film_work` loads the persons of changed films. State, params and settings are those of
`movies_sync`; cursors are Variables `movies_etl.persons.cursor.*`, refused documents are kept in
`persons-dead-letters`.
"""

from __future__ import annotations

from movies_etl.airflow.dags import sync_dag
from movies_etl.definitions.persons import PERSONS

sync_dag(PERSONS, doc_md=__doc__)
