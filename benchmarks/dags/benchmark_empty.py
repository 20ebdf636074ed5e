"""A task that does nothing: what Airflow's own task process needs of memory."""

from __future__ import annotations

from airflow.sdk import dag, task

from benchmarks.meter import peak_memory


@dag(dag_id="benchmark_empty", schedule=None, catchup=False)
def benchmark_empty() -> None:
    """Wire the one task."""

    @task
    def empty() -> dict[str, float]:
        return {"peak": peak_memory()}

    empty()


benchmark_empty()
