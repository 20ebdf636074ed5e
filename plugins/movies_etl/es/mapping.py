"""Whether an index takes the documents of this version of the program, and what else it lacks.

Only a mapping that refuses documents stops a run. ``init`` warns of any other difference from the
file: documents are loaded all the same, and searches that need what is missing find nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from movies_etl.definitions.definition import IndexDefinition
from movies_etl.errors import ConfigurationError
from movies_etl.es.index import Index

_TEXTS = frozenset({"keyword", "text", "wildcard", "match_only_text", "search_as_you_type"})
"""Types that take any single value."""
_NUMBERS = frozenset({"long", "double", "float"})
_TAKEN_BY = {
    "long": _TEXTS | _NUMBERS,
    "float": _TEXTS | _NUMBERS | {"half_float", "scaled_float", "integer", "short"},
    "nested": frozenset({"nested", "object", "flattened"}),
    "object": frozenset({"nested", "object"}),
}
"""By a type in the file: the types that accept its values. A type that is not here: itself and
texts."""


class Difference(NamedTuple):
    """Where an index's mapping is not as the file has it.

    :param field: with dots between its parts.
    :param parameter: what differs, such as ``type``.
    :param found: what the index has; None when it lacks it.
    """

    field: str
    parameter: str
    found: Any
    needed: Any

    def __str__(self) -> str:
        if self.parameter != "type":
            what = f"has {self.parameter} {self.found}"
        else:
            what = f"is {self.found or 'missing'}"
        return f"field {self.field} {what}, {self.needed} is needed"

    @property
    def refuses(self) -> bool:
        """Whether the field is there and refuses its values."""
        taken_by = _TAKEN_BY.get(self.needed, _TEXTS | {self.needed})
        return self.parameter == "type" and self.found is not None and self.found not in taken_by


def differences(
    index: Index, mapping: Mapping[str, Any], described: Mapping[str, Any]
) -> list[Difference]:
    """Return where an index's mapping is not as the file has it, and yet takes documents.

    :param mapping: the index's.
    :param described: settings and mappings of the file.
    :raises ConfigurationError: the index would refuse documents; names the first field.
    """
    wanted = described["mappings"]
    subject = f"Index {index.name} behind alias {index.definition.alias}"
    found = list(_differences(wanted["properties"], mapping.get("properties", {})))
    for difference in found:
        if difference.refuses:
            raise ConfigurationError(
                f"{subject} refuses this program's documents: {difference}. Trigger "
                f"{index.definition.reindex_dag}: it makes an index from the present files while "
                "people search."
            )
    for field in _refused_fields(index.definition.document, mapping):
        raise ConfigurationError(
            f"{subject} refuses this program's documents: field {field} is missing. "
            f"{_how_to_add(index, field, wanted)}"
        )
    return found


def check_file(definition: IndexDefinition, described: Mapping[str, Any]) -> None:
    """Refuse a file whose index would refuse documents.

    :param described: settings and mappings of the file.
    :raises ConfigurationError: names the first field that is missing.
    """
    for field in _refused_fields(definition.document, described["mappings"]):
        raise ConfigurationError(
            f"elasticsearch/{definition.name}.json has no field {field}, but documents have it, "
            "and the index would refuse them. Add it to the file."
        )


def _differences(
    wanted: Mapping[str, Any], found: Mapping[str, Any], parent: str = ""
) -> Iterator[Difference]:
    for name, parameters in wanted.items():
        field, has = f"{parent}{name}", found.get(name)
        if has is None:
            yield Difference(field, "type", None, _type(parameters))
            continue
        if _type(has) != _type(parameters):
            yield Difference(field, "type", _type(has), _type(parameters))
            continue
        for parameter, value in parameters.items():
            if parameter in {"properties", "fields"}:
                yield from _differences(value, has.get(parameter, {}), f"{field}.")
            elif has.get(parameter) != value and parameter != "type":
                yield Difference(field, parameter, has.get(parameter), value)


def _type(parameters: Mapping[str, Any]) -> str:
    return str(parameters.get("type", "object"))


def _refused_fields(document: type[BaseModel], mapping: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields of a document that a strict mapping lacks."""
    schema = document.model_json_schema()
    yield from _missing(schema, schema.get("$defs", {}), mapping, None, "")


def _missing(
    schema: Mapping[str, Any],
    shared: Mapping[str, Any],
    mapping: Mapping[str, Any],
    dynamic: object,
    parent: str,
) -> Iterator[str]:
    dynamic = mapping.get("dynamic", dynamic)
    found = mapping.get("properties", {})
    for name, field in schema.get("properties", {}).items():
        if name in found:
            parts = _parts(field, shared)
            yield from _missing(parts, shared, found[name], dynamic, f"{parent}{name}.")
        elif dynamic == "strict":
            yield f"{parent}{name}"


def _parts(field: Mapping[str, Any], shared: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of the objects that a field holds, one or a list of them."""
    field = field.get("items", field)
    return shared[field["$ref"].rpartition("/")[2]] if "$ref" in field else field


def _how_to_add(index: Index, field: str, wanted: Mapping[str, Any]) -> str:
    """Say how a missing field is added, which takes nothing away from searches."""
    definition = index.definition
    added = _only(wanted["properties"], field.split("."))
    if added is None:
        file = f"elasticsearch/{definition.name}.json"
        return f"Put it into {file}, and add it by PUT /{index.name}/_mapping."
    body = json.dumps({"properties": added})
    return (
        f"Add it by PUT /{index.name}/_mapping with {body}, and trigger {definition.sync_dag} with "
        "reload=all to fill it."
    )


def _only(properties: Mapping[str, Any], path: list[str]) -> dict[str, Any] | None:
    """Return a mapping's one field with what it lies in; None when the mapping lacks it."""
    first, *rest = path
    parameters = properties.get(first)
    if parameters is None or not rest:
        return parameters and {first: parameters}
    inner = _only(parameters.get("properties", {}), rest)
    return inner and {first: {"type": _type(parameters), "properties": inner}}
