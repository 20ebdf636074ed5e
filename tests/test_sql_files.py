"""Every SQL file: runs on a real catalogue, and its header names what goes in and comes out."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from movies_etl.definitions.registry import declared
from movies_etl.postgres import names
from movies_etl.postgres.queries import Names
from movies_etl.settings import Settings

from tests.support.catalogue import NIL, Catalogue

FOLDER = Settings().include_dir / "sql"
FILES = sorted(path.relative_to(FOLDER) for path in FOLDER.rglob("*.sql"))
QUERIES = [path for path in FILES if path.parts[0] not in ("setup", "session.sql")]
"""The others are statements of the owner and of each session; the fixtures run them."""

NAMES = ("schema", "table", "stamp", "root", "link", "key", "hash", "field", "text")
EXAMPLES = {
    "after_root": NIL,
    "after_id": NIL,
    "after_stamp": "0001-01-01T00:00:00.000000+00:00",
    "before": None,
    "bounds": [NIL],
    "ceiling": "700",
    "earlier": "700",
    "field": "role",
    "first": NIL,
    "fractions": "{0.5}",
    "ids": [NIL],
    "ignored_roles": ["reporting"],
    "key": 7,
    "milliseconds": 1000,
    "known_values": ["actor"],
    "numbers": "{1,2}",
    "oids": ["1259"],
    "page_size": 10,
    "parts": 256,
    "patterns": ["%moon%"],
    "percent": 100,
    "place": 16_777_216,
    "schema": "content",
    "table": "film_work",
    "tables": ["film_work"],
    "upto_id": NIL,
    "upto_stamp": "infinity",
}
Filled = dict[str, Names]

STAMPS = {"modified": "modified", "created": "created"}
FEEDS: Filled = {
    f"{definition.name} {feed.table}": names.of_feed(feed, STAMPS)
    for definition in declared().values()
    for stream in definition.streams
    for feed in stream.feeds
}
FAN_OUTS: Filled = {
    f"{definition.name} {stream.name}": names.of_fan_out(stream)
    for definition in declared().values()
    for stream in definition.streams
    if stream.fan_out
}
LINKS: Filled = {
    f"{definition.name} {table}": names.of_hashed(table, root, NIL)
    for definition in declared().values()
    for table, root in {**definition.links, definition.root.rows.table: "id"}.items()
}
ROOTS: Filled = {definition.name: names.of_words(definition) for definition in declared().values()}

CHECKS: Filled = {"": {"table": "person_film_work", "field": "role"}}


def named(path: Path) -> Filled:
    """Return the names that a query is filled in with, by what they are for."""
    if path.stem in ("fan_out", "touched_keys", "dangling"):
        return FAN_OUTS
    if path.parts[0] == "trace" and "{table}" in (FOLDER / path).read_text():
        return LINKS
    return {"feed": FEEDS, "check": CHECKS, "root": ROOTS}.get(path.parts[0], {"": {}})


FILLED = [(path, what) for path in QUERIES for what in named(path)]
"""Each query with everything that it is filled in with."""


def parameters(query: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", query))


def header(path: Path) -> str:
    lines = (FOLDER / path).read_text().splitlines()
    comment = "\n".join(line for line in lines if line.startswith("--"))
    return comment.replace("\n--", "")


@pytest.mark.parametrize(("path", "what"), FILLED, ids=str)
def test_every_query_runs_and_its_header_names_each_column_that_it_returns(
    catalogue: Catalogue, path: Path, what: str
) -> None:
    queries = catalogue.source().queries
    query = queries.text(str(path), named(path)[what])
    given = {name: EXAMPLES[name] for name in parameters(query.decode())}
    answer = queries.connection.execute(query, given)
    answer.fetchall()
    returned = header(path).partition("Returns:")[2]
    columns = [column.name for column in answer.description or ()]
    if "as page.sql" in returned:
        returned = header(path.with_name("page.sql")).partition("Returns:")[2]
    assert columns
    assert [name for name in columns if not re.search(rf"\b{name}\b", returned)] == []


@pytest.mark.parametrize("path", QUERIES, ids=str)
def test_every_header_names_the_names_that_are_filled_in_and_no_others(path: Path) -> None:
    query = (FOLDER / path).read_text()
    said = header(path).partition("Names:")[2].partition("Parameters:")[0].partition("Returns:")[0]
    used = set(re.findall(r"\{(\w+)\}", query))
    assert {name for name in NAMES if re.search(rf"\b{name}\b(?! rows)", said)} == used


@pytest.mark.parametrize("path", QUERIES, ids=str)
def test_every_header_names_the_parameters_and_no_others(path: Path) -> None:
    query = (FOLDER / path).read_text()
    named = header(path).partition("Parameters:")[2].partition("Returns:")[0].partition("Order:")[0]
    for parameter in EXAMPLES:
        said = re.search(rf"\b{parameter}\b", named) is not None
        assert said == (parameter in parameters(query)), parameter


@pytest.mark.parametrize("path", QUERIES, ids=str)
def test_every_query_is_one_statement_that_reads(path: Path) -> None:
    query = re.sub("--.*", "", (FOLDER / path).read_text()).strip()
    assert ";" not in query
    assert query.split()[0] in ("SELECT", "WITH")


def test_every_setting_of_the_session_has_a_comment_above_it() -> None:
    lines = (FOLDER / "session.sql").read_text().splitlines()
    # At the beginning of what is asked for, or where it depends on what the server has.
    begun = [above for above, line in pairwise(lines) if re.match(r"    (set_config|CASE)\b", line)]
    assert len(begun) == (FOLDER / "session.sql").read_text().count("set_config(")
    begun += [above for above, line in pairwise(lines) if line.startswith("SET ")]
    assert [above for above in begun if not above.lstrip().startswith("-- ")] == []


def test_no_file_lies_where_nothing_looks_for_it() -> None:
    folders = {path.parts[0] for path in FILES if len(path.parts) > 1}
    assert folders == {*declared(), "check", "feed", "root", "setup", "trace"}


def test_the_indexes_may_be_made_again(catalogue: Catalogue) -> None:
    before = sorted(catalogue.source().server.indexes())
    for statement in (FOLDER / "setup" / "indexes.sql").read_text().split(";"):
        if statement.strip():
            catalogue.connection.execute(statement.encode())
    assert sorted(catalogue.source().server.indexes()) == before
