"""``python -m tests.simulation``: play histories, or one of them with its trace."""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.simulation.breaks import BREAKS, LIMIT
from tests.simulation.play import play, play_on_all, replay


def main() -> int:
    """Read the arguments; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--histories", type=int, help="how many to play (default 1000)")
    parser.add_argument("--minutes", type=float, help="play for so long, from a fresh seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: all")
    parser.add_argument("--seed", type=int, help="play this one and print its trace")
    parser.add_argument("--first", type=int, default=0, help="seed of the first (default 0)")
    parser.add_argument(
        "--break",
        dest="rule",
        choices=sorted(BREAKS),
        help="switch a rule's protection off, until that is noticed (with --histories: in each)",
    )
    asked = parser.parse_args()
    if asked.seed is not None:
        return replay(asked.seed, asked.rule)
    if asked.rule and not asked.histories:
        tally = play(range(asked.first, asked.first + LIMIT), rule=asked.rule, stop=True)
        print(f"break {asked.rule}: {tally}")
        return 0 if tally.divergences else 1
    first = asked.first
    count = asked.histories or (sys.maxsize if asked.minutes else 1000)
    if asked.minutes and not first:
        first = int(time.time())
    until = time.monotonic() + asked.minutes * 60 if asked.minutes else None
    seeds = range(first, first + count)
    if asked.processes == 1:
        tally = play(seeds, rule=asked.rule, until=until, progress=True)
    else:
        tally = play_on_all(seeds, asked.processes, rule=asked.rule, until=until, progress=True)
    if asked.rule:
        print(f"break {asked.rule}: {100 * tally.divergences / tally.histories:.1f} % diverge")
    print(tally)
    return int(bool(tally.divergences) != bool(asked.rule))


if __name__ == "__main__":
    sys.exit(main())
