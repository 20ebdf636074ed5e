"""``python -m tests.soak``: random histories with fresh seeds for as long as asked.

Histories of the real servers and of the simulation are played side by side; the last line counts
both, and any divergence makes the exit code 1. With ``--break`` one protection is switched off, and
the exit code is 0 when that is noticed.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import subprocess
import sys
import time
import traceback
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace

from tests.histories.machine import Servers
from tests.histories.play import play, servers
from tests.simulation.breaks import BREAKS
from tests.support.fresh import FreshDatabase
from tests.support.servers import ROOT, TEMPLATE, running_elasticsearch, running_postgres
from tests.support.tally import Tally

DATA = ROOT / ".local" / "soak"
SIMULATED = 100_000
"""Histories that are simulated, as far as the minutes allow."""
BATCH = 25
"""Histories of real servers with one seed."""
SIMULATION = (sys.executable, "-m", "tests.simulation")
COUNTED = re.compile(r"(\d+) (histories|steps|kills|divergences)")


def main() -> int:
    """Read the arguments; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument(
        "--break",
        dest="rule",
        help="switch a rule's protection off; 'all' goes through all, '' lists them",
    )
    asked = parser.parse_args()
    if asked.rule is None:
        return soak(asked.minutes)
    if asked.rule == "all":
        return max([switch_off(rule) for rule in BREAKS])
    if asked.rule in BREAKS:
        return switch_off(asked.rule)
    for rule, broken in BREAKS.items():
        print(f"{rule:12} {(broken.__doc__ or '').strip()}")
    return 1 if asked.rule else 0


def switch_off(rule: str) -> int:
    """Simulate without a protection; return 0 when a history shows that it is missing."""
    return subprocess.run([*SIMULATION, "--break", rule], check=False, cwd=ROOT).returncode


def soak(minutes: float) -> int:
    """Play for so long; return 1 when something diverged."""
    processes = max(1, (os.cpu_count() or 1) - 1)  # one core is for the real servers
    simulation = subprocess.Popen(
        [
            *(*SIMULATION, "--minutes", str(minutes)),
            *("--histories", str(SIMULATED), "--processes", str(processes)),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        real = play_on_real_servers(time.monotonic() + minutes * 60)
        lines = simulation.communicate()[0].splitlines()
    finally:
        simulation.kill()
    simulated = counted(lines[-1] if lines else "")
    if simulation.returncode and not simulated["divergences"]:
        simulated["divergences"] = 1  # it came to no good end
    total = real + simulated
    print(
        f"{real['histories']} histories of real servers and {simulated['histories']} simulated, "
        f"{total['steps']} steps, {total['kills']} kills, {total['divergences']} divergences"
    )
    return 1 if total["divergences"] else 0


def counted(line: str) -> Counter[str]:
    """Read the counts of the simulation's last line."""
    return Counter({name: int(number) for number, name in COUNTED.findall(line)})


def play_on_real_servers(until: float, *, rebuilds: bool = True) -> Counter[str]:
    """Play batches of histories, each with a fresh seed.

    :param rebuilds: whether indexes are rebuilt in some of them, which takes seconds each time.
    """
    tally = Tally()
    divergences = 0
    with ExitStack() as stack:
        logging.disable(logging.CRITICAL)  # the program complains of what is done to it
        stack.callback(logging.disable, logging.NOTSET)
        postgres = stack.enter_context(running_postgres(DATA / "postgres"))
        node = stack.enter_context(running_elasticsearch(DATA / "elasticsearch"))
        where = servers(postgres, FreshDatabase(postgres, "movies", TEMPLATE), node.url)
        where = replace(where, rebuilds=rebuilds)
        while time.monotonic() < until:
            divergences += not is_batch_good(where, tally, seed=time.time_ns())
            print(f"real servers: {tally}, {divergences} divergences", flush=True)
    return Counter(
        histories=tally.histories, steps=tally.steps, kills=tally.kills, divergences=divergences
    )


def is_batch_good(where: Servers, tally: Tally, seed: int) -> bool:
    """Play a batch; print what diverges, with the shortest way to it."""
    try:
        play(where, BATCH, first=seed, tally=tally)
    except Exception:  # noqa: BLE001 - whatever it is, the seed must be told
        traceback.print_exc()
        print(f"seed {seed} diverges", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
