"""What Airflow's own database remembers of an index, for the page: read by the API server only."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.variable import Variable
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from pydantic import BaseModel, ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.page.memory import Finished, Memory, Rebuild, Run, TasksSeen
from movies_etl.page.parts import Parts
from movies_etl.state.comparison import Comparison
from movies_etl.state.cursors import Cursor
from movies_etl.state.reconcile import ReconcileState

ModelT = TypeVar("ModelT", bound=BaseModel)
ArgumentsT = ParamSpec("ArgumentsT")
AnswerT = TypeVar("AnswerT")

NEWEST_RUNS = 10
"""Runs that say how an index stands, besides those that are under way."""
UNDER_WAY = ("queued", "running")
MAX_RUNS = 3000
"""Runs of a day at most: two per minute."""
RETURNED = "return_value"


def remembered(definition: IndexDefinition) -> Memory:
    """Return what is remembered of an index, part by part."""
    decisive, others = Parts(), Parts()
    variables = decisive.ask("Airflow's Variables", _asked(_variables, definition)) or {}
    runs = decisive.ask("Airflow's runs", _asked(_runs, definition.sync_dag)) or []
    return Memory(
        cursors={
            stream.name: decisive.ask(
                f"The cursor of {stream.name}",
                partial(_cursor, variables, definition.cursor_variable(stream.name)),
            )
            for stream in definition.streams
        },
        comparison=_valid(Comparison, variables.get(definition.difference_variable)),
        reconcile=_valid(ReconcileState, variables.get(definition.reconcile_variable)),
        paused=decisive.ask("Airflow's DAGs", _asked(_paused, definition.sync_dag)),
        runs=tuple(runs),
        held_by=others.ask("What held the last run", _asked(_held_by, definition, runs)),
        rebuild=others.ask("The newest rebuild", _asked(_rebuild, definition)),
        fed=frozenset(others.ask("Indexes that are fed", _asked(_fed, definition)) or ()),
        problems=tuple(decisive.unread),
        unread=tuple(others.unread),
    )


def _asked(
    question: Callable[Concatenate[Session, ArgumentsT], AnswerT],
    *arguments: ArgumentsT.args,
    **named: ArgumentsT.kwargs,
) -> Callable[[], AnswerT]:
    """Return a question in a session of its own: one that fails breaks off no other."""

    def ask() -> AnswerT:
        with create_session() as session:
            return question(session, *arguments, **named)

    return ask


def _cursor(variables: Mapping[str, str], key: str) -> Cursor | None:
    return Cursor.from_json(variables[key], where=key) if key in variables else None


def _paused(session: Session, dag: str) -> bool | None:
    """Whether the schedule of a DAG is stopped; None where Airflow does not know it."""
    found = session.get(DagModel, dag)
    return None if found is None or found.is_stale else bool(found.is_paused)


def _variables(session: Session, definition: IndexDefinition) -> dict[str, str]:
    wanted = [definition.cursor_variable(stream.name) for stream in definition.streams]
    wanted += [definition.difference_variable, definition.reconcile_variable]
    found = session.scalars(select(Variable).where(Variable.key.in_(wanted)))
    return {one.key: str(one.val) for one in found}


def _valid(model: type[ModelT], text: str | None) -> ModelT | None:
    try:
        return None if text is None else model.model_validate_json(text)
    except ValidationError:  # somebody else wrote it; the next run overwrites it
        return None


def _fed(session: Session, definition: IndexDefinition) -> list[str]:
    """Return the indexes beside the live one that have a cursor of the first stream."""
    prefix = f"{definition.cursor_variable(definition.root.name)}."
    keys = session.scalars(
        select(Variable.key).where(Variable.key.startswith(prefix, autoescape=True))
    )
    return [str(key).removeprefix(prefix) for key in keys]


def _runs(session: Session, dag: str) -> list[Run]:
    """Return the newest runs, and all that are under way, the newest first."""
    of_dag = select(DagRun).where(DagRun.dag_id == dag).order_by(DagRun.run_after.desc())
    found = [
        *session.scalars(of_dag.limit(NEWEST_RUNS)),
        *session.scalars(of_dag.where(DagRun.state.in_(UNDER_WAY)).limit(NEWEST_RUNS)),
    ]
    by_age = sorted(dict.fromkeys(found), key=lambda run: run.run_after, reverse=True)
    return [_run(run) for run in by_age]


def _rebuild(session: Session, definition: IndexDefinition) -> Rebuild | None:
    """Return the newest run that makes the index anew, with its tasks by state."""
    newest = (
        select(DagRun)
        .where(DagRun.dag_id == definition.reindex_dag)
        .order_by(DagRun.run_after.desc())
        .limit(1)
    )
    run = session.scalar(newest)
    if run is None:
        return None
    parts = TaskInstance.map_index >= 0
    tasks = (
        select(
            TaskInstance.task_id,
            TaskInstance.state,
            func.count(),
            func.min(TaskInstance.start_date),
            parts,
        )
        .where(TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
        .group_by(TaskInstance.task_id, TaskInstance.state, parts)
    )
    seen = tuple(
        TasksSeen(task, _word(state), number, since, bool(is_mapped))
        for task, state, number, since, is_mapped in session.execute(tasks)
    )
    return Rebuild(_run(run), seen)


def _run(run: DagRun) -> Run:
    return Run(
        run_id=run.run_id,
        state=_word(run.state) or "",
        started=run.start_date,
        ended=run.end_date,
    )


def _word(state: object) -> str | None:
    """Return Airflow's word for a state of a run or a task."""
    return None if state is None else str(getattr(state, "value", state))


def _held_by(session: Session, definition: IndexDefinition, runs: list[Run]) -> str | None:
    """Return what held the horizon at the newest run whose ``init`` has ended."""
    results = _results(session, definition, [run.run_id for run in runs])
    for run in runs:
        if context := results[run.run_id].get("init"):
            return str(context["held_by"]) if context.get("held_by") else None
    return None


def finished(definition: IndexDefinition, since: datetime) -> list[Finished]:
    """Return the runs that ended since a moment, the oldest first, with their tasks' results."""
    with create_session() as session:
        ended = (
            select(DagRun)
            .where(DagRun.dag_id == definition.sync_dag, DagRun.end_date >= since)
            .order_by(DagRun.end_date.desc())
            .limit(MAX_RUNS)
        )
        runs = [_run(run) for run in session.scalars(ended)][::-1]
        results = _results(session, definition, [run.run_id for run in runs])
        return [Finished(run, results[run.run_id]) for run in runs]


def _results(
    session: Session, definition: IndexDefinition, runs: list[str]
) -> defaultdict[str, dict[str, Mapping[str, Any]]]:
    """Return what the tasks of runs returned, by run and task."""
    found: defaultdict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    returned = select(XComModel.run_id, XComModel.task_id, XComModel.value).where(
        XComModel.dag_id == definition.sync_dag,
        XComModel.key == RETURNED,
        XComModel.run_id.in_(runs),
    )
    for run_id, task_id, value in session.execute(returned):
        result = _result(value)
        if isinstance(result, dict):
            found[run_id][task_id] = result
    return found


def _result(value: object) -> object:
    """Return what a task returned; None of what is kept in another way, by an XCom backend."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None
