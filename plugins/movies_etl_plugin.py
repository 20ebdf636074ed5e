"""The Airflow plugin: puts Movies ETL on the list of plugins."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin


class MoviesEtlPlugin(AirflowPlugin):
    """Names the program in Admin -> Plugins; hooks and tasks are imported from the package."""

    name = "movies_etl"
