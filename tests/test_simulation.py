"""The program's own code over models of both servers: thousands of histories, none diverges."""

from __future__ import annotations

import os

import pytest

from tests.simulation.breaks import BREAKS, LIMIT
from tests.simulation.play import play, play_on_all, replay


def test_no_history_diverges() -> None:
    tally = play(range(500))
    assert tally.diverged == []
    assert tally.kills > 400
    assert tally.zombies > 50
    assert tally.rivals > 50


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_no_history_of_five_thousand_diverges() -> None:
    tally = play_on_all(range(10_000, 15_000), os.cpu_count() or 1)
    assert (tally.histories, tally.diverged) == (5000, [])
    assert tally.kills > 4000
    assert tally.zombies > 500
    assert tally.rivals > 500
    assert tally.late > 500
    assert tally.recreated > 200
    assert tally.clock_steps > 1000
    assert tally.zoned > 500


def test_several_processes_play_what_one_plays() -> None:
    assert vars(play_on_all(range(20), 2)) == vars(play(range(20)))


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
