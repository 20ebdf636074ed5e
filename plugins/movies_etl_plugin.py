"""The Airflow plugin: puts Movies ETL on the list of plugins."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin
from movies_etl import __version__


class MoviesEtlPlugin(AirflowPlugin):
    """Names the program and its version in Admin -> Plugins.

    Hooks and tasks are imported from the package.
    """

    name = f"movies_etl {__version__}"
