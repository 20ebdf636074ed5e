"""What comes from the database is data: no terminal or log obeys it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from movies_etl.errors import MAX_PRINTED_CHARACTERS, MoviesEtlError, on_one_line, printable

from tests.support.servers import ROOT
from tests.support.site import Site

WINDOW_TITLE = "\x1b]0;owned\x07"
CLEAR = "\x1b[2J"
VERTICAL_TAB = "\x0b"
"""A role with it before it looks like one that is spelled otherwise, and is named."""


@pytest.mark.parametrize("text", ["Москва слезам не верит", "<b>Tom & Jerry</b>", "日本語 ½"])
def test_what_can_be_read_is_shown_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (CLEAR, "\\x1b[2J"),
        (WINDOW_TITLE, "\\x1b]0;owned\\x07"),
        ("a\nb\rc\0", "a\\nb\\rc\\x00"),
        ("\u202edlrow", "\\u202edlrow"),  # right to left from here on
        ("\x9b2J", "\\x9b2J"),  # the same as an escape and a bracket, in one character
    ],
)
def test_what_a_terminal_obeys_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert on_one_line(MoviesEtlError(f"x{text.replace(chr(10), '')}y")).isprintable()


def test_a_very_long_text_is_cut() -> None:
    assert (
        printable("x" * 10 * MAX_PRINTED_CHARACTERS)
        == "x" * MAX_PRINTED_CHARACTERS + f"... ({10 * MAX_PRINTED_CHARACTERS} characters)"
    )


def test_a_run_logs_nothing_that_a_terminal_obeys(
    small: Site, caplog: pytest.LogCaptureFixture
) -> None:
    small.execute("UPDATE content.person_film_work SET role = %s || role", VERTICAL_TAB)
    refused = small.add_film(f"{WINDOW_TITLE}<script>alert(1)</script>", rating="NaN")
    with caplog.at_level("DEBUG", "movies_etl"):
        small.run()
    assert small.letters().keys() == {refused}
    said = [one.getMessage() for one in caplog.records if one.name.startswith("movies_etl")]
    assert [one for one in said if "kept as a dead letter" in one]
    assert [one for one in said if not one.isprintable()] == []
    assert [one for one in said if "\\x0b" in one]


def test_no_log_line_has_an_error_as_it_is() -> None:
    """An error quotes a server, and a server the catalogue: ``on_one_line`` makes data of it."""
    found = [
        f"{file.name}:{call.lineno}"
        for file in (ROOT / "plugins" / "movies_etl").rglob("*.py")
        for name, call in caught_and_logged(file)
        if any(isinstance(one, ast.Name) and one.id == name for one in call.args)
    ]
    assert found == []


def caught_and_logged(file: Path) -> Iterator[tuple[str, ast.Call]]:
    """Yield what is logged where an error is handled, with the error's name."""
    for handler in ast.walk(ast.parse(file.read_text())):
        if isinstance(handler, ast.ExceptHandler) and handler.name:
            for call in ast.walk(handler):
                if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("log."):
                    yield handler.name, call
