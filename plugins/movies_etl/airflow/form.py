"""The fields of the trigger forms."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.rebuild.plan import EVERYTHING
from movies_etl.settings import Settings
from movies_etl.sync.asked_for import ALL

_IDS: dict[str, Any] = {"type": ["null", "array"], "items": {"type": "string"}}
"""Texts only, even where ids are numbers: only for texts the web UI has a field with lines."""


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
            title="Only report",
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
            description="Of the new index; empty takes as many as the present one has, or as the "
            "file of its settings says if that was changed since.",
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
