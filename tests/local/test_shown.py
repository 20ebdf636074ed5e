"""Texts of the servers on a terminal: data, which it does not obey."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from local import __main__ as command_line
from local import commands, outcome
from local.edits import Edit
from local.elasticsearch import Elasticsearch
from local.rest import RestError
from tests.local.scripted import Scripted, run
from tests.support.site import Site

TITLE = "\x1b]0;owned\x07<b>Solaris</b>\n   2. Nothing\u202e"
AS_DATA = "\\x1b]0;owned\\x07<b>Solaris</b>\\n   2. Nothing\\u202e"


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was printed, which is printable."""
    out, err = capsys.readouterr()
    assert [line for line in (out + err).split("\n") if not line.isprintable()] == []
    return out + err


@pytest.fixture
def stack(
    site: Site, elasticsearch_node: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> SimpleNamespace:
    stack = SimpleNamespace(dsn=site.dsn, elasticsearch=elasticsearch_node)
    monkeypatch.setattr(commands, "needed", lambda: stack)
    return stack


@pytest.mark.usefixtures("stack")
def test_a_search_shows_titles_and_names_as_data(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.cast(site.add_film(TITLE), site.add_person(TITLE), role="director")
    site.run()
    assert command_line.main(["search", "solaris"]) == 0
    assert said(capsys).count(AS_DATA) == 2


@pytest.mark.usefixtures("stack")
def test_an_edit_shows_what_it_edited_as_data(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "edit", lambda *_: [Edit(f"renamed {TITLE}", TITLE)])
    assert command_line.main(["edit"]) == 0
    assert said(capsys).count(AS_DATA) == 2


def test_warnings_and_errors_of_a_run_are_shown_as_data(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Scripted([])
    api.warned = {"film_work": [TITLE]}
    assert outcome.lines(api, run("a", "success", 0.1))[1] == f"         film_work: {AS_DATA}"
    api.state = "failed"
    monkeypatch.setattr(api, "errors", lambda *_: [TITLE])
    (line,) = outcome.lines(api, run("a", "failed", 0.1))
    assert AS_DATA in line


def test_an_error_of_a_command_is_shown_as_data(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise RestError(400, TITLE.replace("\n", " "))

    monkeypatch.setattr(commands, "needed", refuse)
    assert command_line.main(["search", "solaris"]) == 1
    assert said(capsys).startswith("error: \\x1b]0;owned")
