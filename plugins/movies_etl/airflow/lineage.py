"""Lineage: which tables a task reads, and which index it writes, for tools that draw it.

Airflow collects nothing unless a plugin reads it, OpenLineage for example.
"""

from __future__ import annotations

from airflow.sdk import BaseHook
from airflow.sdk.lineage import get_hook_lineage_collector

from movies_etl.airflow.signals import asset_of
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.postgres.session import Session
from movies_etl.postgres.source import Source


def add_tables(hook: BaseHook, session: Session, source: Source) -> None:
    """Note the tables of an index as inputs of the task, at the server that it reached."""
    collector = get_hook_lineage_collector()
    for table in source.layout.oids:
        collector.add_input_asset(
            hook,
            scheme="postgres",
            asset_kwargs={
                "host": session.info.host,
                "port": session.info.port,
                "database": session.info.dbname,
                "schema": source.queries.schema,
                "table": table,
            },
        )


def add_index(hook: BaseHook, definition: IndexDefinition) -> None:
    """Note the index as output of the task, by its alias: the same asset has the events."""
    get_hook_lineage_collector().add_output_asset(hook, uri=asset_of(definition).uri)
