"""What made the documents of an index: its mapping's ``_meta`` says it from the beginning.

After a change of the query that assembles documents nearly every document differs from its row:
that is no drift to be corrected one by one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from movies_etl import __version__
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.es.client import translated_errors
from movies_etl.es.index import Index
from movies_etl.settings import included

KEY = "movies_etl_documents"
"""The key of ``_meta``."""


class Maker(BaseModel):
    """What decides about the text of an index's documents.

    :param program: its version, for messages.
    :param documents: digest of what ``documents.sql`` does, and of the model of a document. A new
        version of the program that changes neither makes the same documents.
    """

    model_config = ConfigDict(frozen=True)

    program: str
    documents: str

    @classmethod
    def of(cls, definition: IndexDefinition, include_dir: Path) -> Self:
        """Return what makes documents now.

        :param include_dir: the folder with ``sql/``.
        """
        query = included(include_dir / "sql" / definition.name / "documents.sql")
        lines = (line.partition("--")[0].split() for line in query.splitlines())
        words = [word for line in lines for word in line]
        model = json.dumps(definition.document.model_json_schema(), sort_keys=True)
        digest = hashlib.sha256("\n".join([*words, model]).encode()).hexdigest()
        return cls(program=__version__, documents=digest)


def maker_of(mapping: Mapping[str, Any]) -> Maker | None:
    """Return what made an index's documents; None where it does not say it in this way."""
    try:
        return Maker.model_validate((mapping.get("_meta") or {}).get(KEY))
    except ValidationError:
        return None


def note(index: Index, maker: Maker) -> None:
    """Write what has made an index's documents, and leave what else its ``_meta`` says."""
    meta = {**(index.mapping().get("_meta") or {}), KEY: maker.model_dump()}
    with translated_errors():
        index.client.indices.put_mapping(index=index.name, meta=meta)
