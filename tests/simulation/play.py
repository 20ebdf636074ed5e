"""Plays histories one after another, and one again with its trace."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack

from tests.simulation.breaks import BREAKS
from tests.simulation.history import History
from tests.simulation.shapes import OF_PERSONS
from tests.simulation.stand_ins import simulated
from tests.simulation.tally import Tally
from tests.support.divergence import Divergence

EVERY = 10.0
"""Seconds between two lines of progress."""


class HistoryError(Exception):
    """A history ended with an error that is no divergence: the test or the program has a fault."""


def play(
    seeds: Iterable[int],
    *,
    rule: str | None = None,
    until: float | None = None,
    stop: bool = False,
    progress: bool = False,
) -> Tally:
    """Play one history per seed; print each that diverges.

    :param rule: whose protection is switched off.
    :param until: moment (``time.monotonic``) after which none begins.
    :param stop: end at the first divergence.
    :raises HistoryError: a history ends with another error than a divergence.
    """
    tally = Tally()
    started = told = time.monotonic()
    parent = multiprocessing.parent_process()
    with ExitStack() as stack:
        stack.enter_context(simulated())
        if rule:
            stack.enter_context(BREAKS[rule]())
        for seed in seeds:
            now = time.monotonic()
            if (until is not None and now > until) or (parent and not parent.is_alive()):
                break
            if progress and now - told > EVERY:
                told = now
                print(f"{tally} ({tally.histories / (now - started):.0f}/s)", flush=True)
            divergence = _one(History(seed, tally), tally, rule)
            if divergence:
                print(f"seed {seed}: {divergence}", file=sys.stderr)
                if stop:
                    break
                print(_command(seed, rule), file=sys.stderr)
    return tally


def _command(seed: int, rule: str | None) -> str:
    """Return what plays a history again."""
    return f"python -m tests.simulation --seed {seed}" + (f" --break {rule}" if rule else "")


def play_on_all(
    seeds: range,
    processes: int,
    *,
    rule: str | None = None,
    until: float | None = None,
    progress: bool = False,
) -> Tally:
    """Play histories in several processes: each plays its share of the seeds.

    :param rule: whose protection is switched off.
    :param until: moment (``time.monotonic``, the same in all processes) after which none begins.
    :param progress: let the first of them tell how far it is.
    """
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    tally = Tally()
    with context.Pool(processes) as pool:
        shares = [
            pool.apply_async(
                play,
                (seeds[number::processes],),
                {"rule": rule, "until": until, "progress": progress and number == 0},
            )
            for number in range(processes)
        ]
        for share in shares:
            tally += share.get()
    tally.diverged.sort()
    return tally


def _one(history: History, tally: Tally, rule: str | None) -> Divergence | None:
    found = None
    try:
        history.play()
    except Divergence as divergence:
        found = divergence
    except Exception as error:
        raise HistoryError(f"{error!r}; {_command(history.seed, rule)} plays it again") from error
    tally.histories += 1
    tally.steps += history.world.steps
    tally.late += history.node.arrived
    tally.clock_steps += history.world.clock_steps
    tally.of_persons += history.shape is OF_PERSONS
    tally.untraced += history.untraced
    tally.zoned += history.zone is not None
    if found:
        tally.divergences += 1
        tally.diverged.append(history.seed)
    return found


def replay(seed: int, rule: str | None = None) -> int:
    """Play one history and print what happened; return 1 when it diverges."""
    tally = Tally()
    with ExitStack() as stack:
        stack.enter_context(simulated())
        if rule:
            stack.enter_context(BREAKS[rule]())
        try:
            History(seed, tally, trace=print).play()
        except Divergence as divergence:
            print(f"seed {seed} diverges: {divergence}")
            return 1
    print(f"seed {seed}: every document is as it should be")
    return 0
