"""What a run was triggered with: the params of its form, checked and read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from airflow.sdk import DAG

from movies_etl.errors import ConfigurationError
from movies_etl.rebuild.plan import Asked
from movies_etl.reconcile.asked_for import ReconcileParams
from movies_etl.sync.asked_for import RunParams


def filled_in(
    params: dict[str, Any] | None,
    dag: Any,  # noqa: ANN401 - Airflow's, like the next one
    dag_run: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Return the params of a run, checked against what it was triggered with.

    :param dag_run: the run; None where a task is called without one.
    :raises ConfigurationError: see ``check_conf``.
    """
    params = params or {}
    if dag_run and dag_run.conf:
        check_conf(dag, dag_run.conf, params)
    return params


def check_conf(dag: DAG, conf: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    """Refuse a run that would not do what was asked of it.

    :param conf: what the run was triggered with.
    :param params: what Airflow makes of it, unknown keys included.
    :raises ConfigurationError: conf has a key that is no param of the DAG, or Airflow ignores it.
    """
    if unknown := [key for key in conf if key not in dag.params]:
        raise ConfigurationError(
            f"This run was triggered with {', '.join(map(repr, unknown))}, which {dag.dag_id} does "
            f"not know. Its params are {', '.join(dag.params)}. Nothing was done; trigger again."
        )
    if ignored := [key for key, value in conf.items() if params[key] != value]:
        raise ConfigurationError(
            f"Airflow ignores what this run was triggered with ({', '.join(ignored)}): its setting "
            "dag_run_conf_overrides_params in section core is off. Nothing was done; switch it on "
            "and trigger again."
        )


def asked_for(params: Mapping[str, Any]) -> RunParams:
    """Read the form."""
    return RunParams(
        page_size=params.get("page_size"),
        ids=_lines(params.get("ids")),
        replay=_lines(params.get("replay")),
    )


def to_reconcile(params: Mapping[str, Any]) -> ReconcileParams:
    """Read the reconcile's form."""
    return ReconcileParams(
        full=bool(params.get("full")),
        dry_run=bool(params.get("dry_run")),
        ids=_lines(params.get("ids")),
    )


def to_rebuild(params: Mapping[str, Any]) -> Asked:
    """Read the rebuild's form.

    :raises ConfigurationError: two fields contradict each other.
    """
    asked = Asked(**{one.name: params[one.name] for one in fields(Asked) if one.name in params})
    if asked.rollback and (asked.resume or asked.take_over or asked.shards):
        raise ConfigurationError(
            "A rollback takes an index as it is: trigger it without resume, take_over and shards. "
            "Nothing was done."
        )
    return asked


def _lines(given: Iterable[str] | None) -> tuple[str, ...]:
    """Return the lines of a field without the blank ones."""
    return tuple(stripped for line in given or () if (stripped := line.strip()))
