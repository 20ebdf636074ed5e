"""What the catalogue must look like for the queries to work, checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from movies_etl.definitions.column import Column
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.postgres.layout import (
    LOWEST_IDS,
    WITH_ZONE,
    WITHOUT_ZONE,
    Found,
    FoundColumn,
    stamps_of,
)
from movies_etl.settings import Settings, variable

_NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision")
_TEXTS = "SE"
"""PostgreSQL's categories of strings and of enums."""

_OTHER_NAMES = {
    "modified": ("updated_at", "updated", "modified_at", "last_modified", "changed_at"),
    "created": ("created_at", "created_on", "added_at"),
}
"""What other sites call the cursor columns."""


def problems_of(
    found: Found, definition: IndexDefinition, settings: Settings, role: str
) -> list[str]:
    """Say what is missing or of the wrong type, with what to do about it; empty when all is well.

    :param role: that reads the catalogue.
    """
    if not found:
        return [f"it has no schema {settings.schema_name} with tables"]
    schema = _Schema(found, definition.required, settings, role)
    return [problem for table in definition.required for problem in schema.problems_of(table)]


class _Schema:
    """The columns of one schema, as they are and as they have to be."""

    def __init__(
        self,
        found: Found,
        required: Mapping[str, Mapping[str, Column]],
        settings: Settings,
        role: str,
    ) -> None:
        self._found = found
        self._required = required
        self._schema = settings.schema_name
        self._stamps = stamps_of(settings)
        self._role = role

    def problems_of(self, table: str) -> Iterator[str]:
        """Yield what is wrong with a table."""
        if table not in self._found:
            yield f"table {self._schema}.{table} is missing (a view is not enough: rows have xmin)"
            return
        yield from self._rights(table)
        for name, wanted in self._required[table].items():
            actual = self._stamps.get(name, name)
            column = self._found[table].get(actual)
            if column is None:
                yield self._missing(table, name, wanted)
            elif problem := self._wrong_type(column, wanted):
                yield f"{self._schema}.{table}.{actual} is {column.type}{problem}"

    def _rights(self, table: str) -> Iterator[str]:
        column, name = next(iter(self._found[table].values())), f"{self._schema}.{table}"
        if not column.is_usable:
            yield (
                f"the role may not use schema {self._schema} "
                f"(GRANT USAGE ON SCHEMA {self._schema} TO {self._role})"
            )
        if not column.is_readable:
            yield (
                f"the role may not read {name} (GRANT SELECT ON {name} TO {self._role}; of "
                "single columns it is not enough)"
            )
        if column.is_filtered:
            yield (
                f"row-level security may hide rows of {name} (ALTER ROLE {self._role} BYPASSRLS; "
                "a policy is not enough, PostgreSQL does not tell what it hides)"
            )

    def _missing(self, table: str, name: str, wanted: Column) -> str:
        actual = self._stamps.get(name, name)
        said = f"column {self._schema}.{table}.{actual} is missing"
        if wanted.kind == "id" and self._links(table):
            return f"{said} (ALTER TABLE {self._schema}.{table} ADD id bigserial UNIQUE)"
        similar = self._similar(table, name)
        if wanted.kind != "stamp" or not similar:
            return said
        setting = variable(f"{name}_column")
        return (
            f"{said}, it has {similar.name} (set {setting}={similar.name} if that is its name in "
            f"every table, or ALTER TABLE {self._schema}.{table} ADD {actual} {similar.type} "
            f"GENERATED ALWAYS AS ({similar.name}) STORED)"
        )

    def _links(self, table: str) -> bool:
        return any(column.kind == "key" for column in self._required[table].values())

    def _similar(self, table: str, name: str) -> FoundColumn | None:
        """Return the column that is probably the cursor column under another name."""
        others = (self._found[table].get(other) for other in _OTHER_NAMES.get(name, ()))
        return next((one for one in others if one and one.type in (WITH_ZONE, WITHOUT_ZONE)), None)

    def _wrong_type(self, column: FoundColumn, wanted: Column) -> str | None:
        """Say what a column should be instead, None when it is."""
        if wanted.kind == "id" and column.type not in LOWEST_IDS:
            return "; ids of type uuid, text, integer or bigint are supported"
        if wanted.kind == "key":
            return self._other_than_its_id(column, wanted.of)
        if wanted.kind == "stamp" and column.type not in (WITH_ZONE, WITHOUT_ZONE):
            return ", not a timestamp"
        if wanted.kind == "text" and column.category not in _TEXTS:
            return ", not a text"
        if wanted.kind == "number" and column.type not in _NUMBERS:
            return f", not a number ({', '.join(_NUMBERS)})"
        return None

    def _other_than_its_id(self, column: FoundColumn, table: str) -> str | None:
        found = self._found.get(table, {}).get("id")
        if found is None or _family(found.type) == _family(column.type):
            return None
        return f", but {self._schema}.{table}.id is {found.type}; make them one type"


def _family(type_name: str) -> str:
    return "text" if type_name == "character varying" else type_name
