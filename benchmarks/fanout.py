"""Changes: seconds from their commit until a search finds the last film, and sends per film.

A change is committed at the first moment of the task that has to find it, in a run that has
started. It is then younger than the run's horizon, so the run after that reads it once more; its
sends count as well.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks import ceiling
from benchmarks.figures import Figure, Part
from benchmarks.load import first_load
from benchmarks.runs import BenchmarkError
from benchmarks.servers import Edit, Servers
from local.rest import call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.ceiling import Bodies

_NAMES = ("directors_names", "actors_names", "writers_names")
_LOOK = 0.1
"""Seconds between two looks at what a search finds."""


@dataclass
class Change:
    """One kind of change.

    :param name: for the summary.
    :param title: what happens, in words.
    :param task: which task has to find it.
    :param statement: SQL; `{word}` is a word that no film has yet.
    :param films: SQL that counts the films it touches.
    :param fields: where a search finds the word.
    """

    name: str
    title: str
    task: str
    statement: str
    films: str
    fields: tuple[str, ...]
    seconds: list[float] = field(default_factory=list)
    sends: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    touched: int = 0


def measure(servers: Servers, bodies: Bodies, rounds: int) -> Part:
    """Make each change a few times, by turns; return the figures."""
    films, port = bodies.films, servers.elasticsearch.port
    servers.report("warming up: a pass of the ceiling and a first load")
    ceiling.measure(port, bodies, servers.meter)
    first_load(servers, films)
    changes = _changes(films)
    ceilings = [ceiling.measure(port, bodies, servers.meter).rate]
    for number in range(rounds):
        for change in changes:
            _make(servers, change, word=f"zq{number}")
        ceilings.append(ceiling.measure(port, bodies, servers.meter).rate)
    return _part(films, changes, Figure.of(ceilings))


def _changes(films: int) -> list[Change]:
    middle, some = films // 4, min(500, films // 40)  # of medium popularity: about 7 films each
    persons = (
        "SELECT md5('person ' || n)::uuid FROM"
        f" generate_series({middle - some}, {middle + some - 1}) AS n"
    )
    genre = "md5('genre 1')::uuid"
    return [
        Change(
            "persons",
            f"{2 * some:,} persons renamed",
            "person",
            "UPDATE content.person SET full_name = split_part(full_name, ' ', 1) || ' {word}',"
            f" modified = now() WHERE id IN ({persons})",
            "SELECT count(DISTINCT film_work_id) FROM content.person_film_work"
            f" WHERE person_id IN ({persons})",
            _NAMES,
        ),
        Change(
            "genre",
            "the largest genre renamed",
            "genre",
            f"UPDATE content.genre SET name = '{{word}}', modified = now() WHERE id = {genre}",
            f"SELECT count(*) FROM content.genre_film_work WHERE genre_id = {genre}",
            ("genres",),
        ),
        Change(
            "films",
            "all films updated in one transaction",
            "film_work",
            "UPDATE content.film_work"
            " SET title = split_part(title, ' zq', 1) || ' {word}', modified = now()",
            "SELECT count(*) FROM content.film_work",
            ("title",),
        ),
    ]


def _make(servers: Servers, change: Change, word: str) -> None:
    """Make one change, run the sync twice, and note what it took."""
    with psycopg.connect(servers.dsn, autocommit=True) as connection:
        ((change.touched,),) = connection.execute(change.films.encode()).fetchall()
    edit = Edit(change.task, (change.statement.format(word=word),))
    with _watched(servers.elasticsearch.port, change, word) as hit:
        result = servers.run(edit=edit)[change.task]
    if not hit:
        msg = f"{change.title}: a search does not find all of {change.touched:,} films"
        raise BenchmarkError(msg)
    again = sum(task["indexed"] for name, task in servers.run().items() if name != "init")
    spent: dict[str, Any] = result["benchmark"]
    change.seconds.append(hit[0] - spent["committed"])
    change.sends.append((result["indexed"] + again) / change.touched)
    change.cpu.append((spent["task"] + spent["postgres"]) / change.touched * 1e6)
    servers.report(
        f"{change.title}: {change.touched:,} films found after {change.seconds[-1]:.1f} s"
    )
    with psycopg.connect(servers.dsn, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")  # autovacuum would come in the middle of the next


@contextmanager
def _watched(port: int, change: Change, word: str) -> Iterator[list[float]]:
    """Search for the word while the block runs; note the moment when all films have it."""
    hit: list[float] = []
    over = threading.Event()
    question = {"query": {"multi_match": {"query": word, "fields": change.fields}}}

    def found() -> bool:
        answer = call("POST", f"http://127.0.0.1:{port}/movies/_count", question, seconds=60)
        return bool(answer["count"] == change.touched)

    def look() -> None:
        while not hit:
            last = over.is_set()
            if found():
                hit.append(time.time())
            elif last:
                return
            over.wait(_LOOK)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield hit
    finally:
        over.set()
        thread.join()


def _part(films: int, changes: list[Change], ceilings: Figure) -> Part:
    part = Part(
        title=f"Changes in a catalogue of {films:,} films",
        columns=(
            "",
            "films",
            "seconds from commit until a search finds all (spread)",
            "sends per film",
            "CPU of task and PostgreSQL, µs per film",
        ),
        notes=[
            "Each change is committed at the first moment of the task that has to find it.",
            f"Raw bulk ceiling of the same run: {ceilings.text()} documents/s.",
        ],
    )
    part.summary["fanout_ceiling_docs_s"] = round(ceilings.median, 1)
    for change in changes:
        seconds, sends, cpu = map(Figure.of, (change.seconds, change.sends, change.cpu))
        part.rows.append(
            (change.title, f"{change.touched:,}", seconds.text(1), sends.text(2), cpu.text(1))
        )
        part.summary |= {
            f"{change.name}_films": change.touched,
            f"{change.name}_s": round(seconds.median, 2),
            f"{change.name}_sends_a_film": round(sends.median, 3),
        }
    return part
