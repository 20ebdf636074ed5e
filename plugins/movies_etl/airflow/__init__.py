"""Airflow: connections, Variables, tasks and DAGs. The only room that imports Airflow."""

from __future__ import annotations

import platform
import re

from airflow import __version__ as airflow_version

from movies_etl.errors import ConfigurationError


def _check_version(program: str, version: str, oldest: str) -> None:
    """Refuse what is too old, before a module that it lacks is all that is said.

    :raises ConfigurationError: says which version is needed.
    """

    def numbers(text: str) -> list[int]:
        return [*map(int, re.findall(r"\d+", text)[:2])]

    if numbers(version) < numbers(oldest):
        raise ConfigurationError(
            f"Movies ETL needs {program} {oldest} or later, this is {version}."
        )


_check_version("Airflow", airflow_version, "3.3")
_check_version("Python", platform.python_version(), "3.11")
