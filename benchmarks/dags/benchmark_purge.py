"""What `movies_purge` does when a person approves at once."""

from __future__ import annotations

from airflow.sdk import dag, task
from movies_etl.airflow.reconcile_tasks import working_resources
from movies_etl.definitions.registry import declared
from movies_etl.reconcile.purge import approved, next_list
from movies_etl.settings import load_settings


@dag(dag_id="benchmark_purge", schedule=None, catchup=False)
def benchmark_purge() -> None:
    """Wire the one task."""

    @task
    def purge() -> dict[str, int]:
        settings, lists = load_settings(), 0
        with working_resources(declared()["movies"], settings, "benchmark") as resources:
            while resources and (one := next_list(resources, settings, "benchmark")):
                approved(resources, settings, one.digest, "benchmark")
                lists += 1
        return {"lists": lists}

    purge()


benchmark_purge()
