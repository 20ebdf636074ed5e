"""The program's own code over models of both servers: thousands of histories, none diverges."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from movies_etl.errors import IndexUnavailableError

from tests.simulation.breaks import BREAKS, LIMIT
from tests.simulation.history import History
from tests.simulation.play import HistoryError, play, play_on_all, replay
from tests.simulation.switches import always, patched
from tests.simulation.tasks import SimulatedExecutor
from tests.simulation.world import World


def test_no_history_diverges() -> None:
    tally = play(range(300))
    assert tally.diverged == []
    assert (tally.of_persons, tally.untraced) == (75, 72)
    assert tally.kills > 400
    assert tally.rebuilds > 25
    assert tally.zombies > 20
    assert tally.rivals > 20


@pytest.mark.long
@pytest.mark.timeout(900)
def test_no_history_of_three_thousand_diverges() -> None:
    tally = play_on_all(range(10_000, 13_000), os.cpu_count() or 1)
    assert (tally.histories, tally.diverged) == (3000, [])
    assert (tally.of_persons, tally.untraced) == (750, 748)
    assert tally.reconciled > 2000
    assert tally.kills > 4000
    assert tally.rebuilds > 250
    assert tally.zombies > 250
    assert tally.rivals > 350
    assert tally.late > 500
    assert tally.recreated > 200
    assert tally.clock_steps > 800
    assert tally.beside > 20
    assert tally.zoned > 300


def test_several_processes_play_what_one_plays() -> None:
    assert vars(play_on_all(range(20), 2)) == vars(play(range(20)))


@pytest.mark.long
@pytest.mark.parametrize("rule", BREAKS)
@pytest.mark.timeout(180)
def test_a_protection_that_is_switched_off_is_missed(rule: str) -> None:
    tally = play(range(LIMIT), rule=rule, stop=True)
    assert tally.divergences, f"{tally}: the protection of rule {rule} is not needed, or not tested"


def test_a_seed_is_played_again_with_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(0, rule="10") == 1
    first = capsys.readouterr().out
    assert "film_work begins" in first
    assert "seed 0 diverges" in first
    replay(0, rule="10")
    assert capsys.readouterr().out == first


def test_an_error_that_is_no_divergence_fails_with_its_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wrong(_history: object) -> None:
        raise TypeError("a keyword of yesterday")

    monkeypatch.setattr(History, "play", wrong)
    with pytest.raises(HistoryError, match=r"TypeError.*yesterday.*--seed 7 --break 5-reload"):
        play(range(7, 9), rule="5-reload", stop=True)


def _raise(error: Exception) -> None:
    raise error


def test_an_error_of_a_sender_is_an_outcome_only_if_it_is_the_programs() -> None:
    world = World(seed=0)
    world.hushed = True  # bodies are sent at once
    executor = SimulatedExecutor(world, senders=1)
    answer = executor.submit(_raise, IndexUnavailableError("lost"))
    assert answer.done()
    with pytest.raises(IndexUnavailableError):
        answer.result()
    with pytest.raises(TypeError):
        executor.submit(_raise, TypeError("a fault of the test"))


class Program:
    """Something that is patched."""

    @staticmethod
    def parked(letters: list[str], *, version: int = 0) -> int:
        return len(letters) + version

    def send(self, item: str, size: int = 1) -> str:
        return item * size


def test_a_patch_replaces_what_it_fits_to() -> None:
    def send(self: Program, item: str, size: int = 1) -> str:
        del self, size
        return item

    with patched((Program, "send", send), (Program, "parked", always(5))):
        assert Program().send("a", size=3) == "a"
        assert Program.parked(["x"], version=2) == 5
    assert Program().send("a", size=3) == "aaa"


@pytest.mark.parametrize(
    "send",
    [
        lambda self, item: item,  # noqa: ARG005
        lambda self, item, size, more: item,  # noqa: ARG005
        lambda self, film, size=1: film,  # noqa: ARG005
        lambda self, item, size: item,  # noqa: ARG005
        lambda item, size=1: item,  # noqa: ARG005
    ],
    ids=["too few", "too many", "another name", "no default", "no self"],
)
def test_a_patch_that_cannot_be_called_alike_is_refused(send: object) -> None:
    with pytest.raises(TypeError, match=r"Program\.send\(.*is replaced by"):
        patched((Program, "send", send)).__enter__()
    assert Program().send("a", 2) == "aa"


def test_a_patch_of_what_is_not_there_is_refused() -> None:
    with pytest.raises(AttributeError, match="gone"):
        patched((SimpleNamespace(here=1), "gone", 2)).__enter__()
