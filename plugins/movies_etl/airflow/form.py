"""The trigger form: its fields, and what somebody filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from airflow.sdk import DAG, Param

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import ConfigurationError
from movies_etl.rebuild.plan import EVERYTHING, Asked
from movies_etl.reconcile.run import ReconcileParams
from movies_etl.settings import Settings
from movies_etl.sync.asked_for import ALL, RunParams

_IDS: dict[str, Any] = {"type": ["null", "array"], "items": {"type": "string"}}
"""Of texts only, also where ids are numbers: the web UI has a field of lines for nothing else."""


def fields_of_sync(definition: IndexDefinition, settings: Settings) -> dict[str, Param]:
    """Return the fields in the order of the form: first what people come for."""
    noun, nouns = definition.noun, definition.nouns
    return {
        "reload": Param(
            "none",
            type="string",
            enum=["none", ALL, *(stream.name for stream in definition.streams)],
            title="Load again",
            description="Forget the cursor of this stream (or of all) and load it from the "
            "beginning.",
        ),
        "ids": Param(
            [],
            **_IDS,
            title=f"{nouns.capitalize()} to load again",
            description=f"Ids of {nouns}, one per line. They are sent even if the index already "
            "has the same document.",
        ),
        "replay": Param(
            [],
            **_IDS,
            title="Dead letters to try again",
            description=f"Each line is the id of a {noun} whose refused document is to be tried "
            f"again, or `{ALL}`.",
        ),
        "page_size": Param(
            settings.page_size,
            type="integer",
            minimum=1,
            maximum=10_000,
            title="Page size",
            description=f"Rows per page of changes and {nouns} per page of documents. Pages of a "
            "first load or a reload grow beyond it.",
        ),
    }


def fields_of_reconcile(definition: IndexDefinition) -> dict[str, Param]:
    """Return the fields of the reconcile's form."""
    nouns = definition.nouns
    return {
        "full": Param(
            False,
            type="boolean",
            title="Compare everything now",
            description=f"Without it a run compares the next {nouns}, and everything twice a day.",
        ),
        "dry_run": Param(
            False,
            type="boolean",
            title="Only tell",
            description="Find what differs, and change nothing.",
        ),
        "ids": Param(
            [],
            **_IDS,
            title=f"{nouns.capitalize()} to compare",
            description=f"Ids of {nouns}, one per line. They are compared, and nothing else.",
        ),
    }


def fields_of_purge(definition: IndexDefinition) -> dict[str, Param]:
    """Return the fields of the purge's form."""
    return {
        "digest": Param(
            "",
            type="string",
            title="List to ask about",
            description=f"Digest of a list of {definition.nouns}, or its beginning; also of one "
            "that was refused. Empty: the oldest one that waits.",
        ),
    }


def fields_of_rebuild(definition: IndexDefinition) -> dict[str, Param]:
    """Return the fields of the rebuild's form."""
    nouns = definition.nouns
    return {
        "shards": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=1024,
            title="Shards",
            description="Of the new index; empty takes as many as the present one has.",
        ),
        "checks": Param(
            EVERYTHING,
            type="integer",
            minimum=0,
            maximum=EVERYTHING,
            title=f"{nouns.capitalize()} to compare before the swap, in per cent",
            description="Of all, ids are compared in any case.",
        ),
        "pause_before_swap": Param(
            False,
            type="boolean",
            title="Ask before the swap",
            description="The run waits for an answer under Required Actions.",
        ),
        "resume": Param(
            False,
            type="boolean",
            title="Go on with a half-made index",
            description=f"That of a run which came to no end. {nouns.capitalize()} that are there "
            "are compared, and not sent again.",
        ),
        "rollback": Param(
            False,
            type="boolean",
            title="Back to the index before",
            description="Give the alias to the index that had it before; nothing is loaded.",
        ),
        "take_over": Param(
            False,
            type="boolean",
            title="Replace a plain index",
            description=f"An index, no alias, is named {definition.alias}: delete it when the new "
            "one is whole, and take its name.",
        ),
    }


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


def to_reconcile(params: Mapping[str, Any]) -> ReconcileParams:
    """Read the reconcile's form."""
    return ReconcileParams(
        full=bool(params.get("full")),
        dry_run=bool(params.get("dry_run")),
        ids=_lines(params.get("ids")),
    )


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
    """Refuse a run that would not do what it was triggered with.

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


def _lines(given: Iterable[str] | None) -> tuple[str, ...]:
    """Return what the lines of a field say; blank ones say nothing."""
    return tuple(stripped for line in given or () if (stripped := line.strip()))
