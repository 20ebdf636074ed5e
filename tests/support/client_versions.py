"""The packages of Elasticsearch's client, by the client's major version."""

from __future__ import annotations

PACKAGES_OF_CLIENT = {
    "8": (),  # as installed
    "9": ("elasticsearch==9.5.1", "elastic-transport==9.4.2"),  # as Airflow 3.3's constraints have
}
