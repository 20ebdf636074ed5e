"""The benchmark's command line: `make bench FILMS=100000 ONLY=load`.

It imports the program for its query and its definition of the index, so `plugins` must be on
PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from benchmarks import delays, fanout, follow, idle, load, peers, reconcile, reindex, report
from benchmarks.servers import Servers
from local.processes import end_signals

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.figures import Part

PARTS = ("load", "fanout", "idle", "reconcile", "peers")
"""What is measured where nothing else is asked for: one after the other on the same servers."""

ALONE: dict[str, Callable[[Servers, int], Part]] = {
    "delays": delays.measure,
    "follow": follow.measure,
}
"""What takes ten minutes or more, and is measured only where it is asked for."""

_ENVIRONMENTS = {"follow": follow.ENVIRONMENT, "reindex": reindex.ENVIRONMENT}
"""What needs other settings of the program, and those."""

PEERS_FILMS = 20_000
"""Films in the comparison at most: the usual program's time grows with their square."""

_OF_BODIES = {"load": load.measure, "fanout": fanout.measure, "peers": peers.measure}
_OF_FILMS = {
    "idle": idle.measure,
    "reconcile": reconcile.measure,
    "reindex": reindex.measure,
}
"""What measures each part: beside the documents as bodies, or by itself."""

_OPTIONS = {"idle": idle.OPTIONS, "peers": peers.OPTIONS, "follow": follow.OPTIONS}


def main() -> None:
    """Measure, write the results, and print the summary as the last line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--films", type=int, default=100_000)
    parser.add_argument("--only", choices=(*PARTS, *ALONE, "reindex"))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {line}", file=sys.stderr, flush=True)

    servers = Servers(say, _ENVIRONMENTS.get(arguments.only))
    wanted = [arguments.only] if arguments.only else list(PARTS)
    summary: dict[str, object] = {"films": arguments.films}
    for number in end_signals():
        signal.signal(number, _end)
    with servers.running(arguments.films):
        for name in wanted:
            part = measure(name, servers, arguments.films, arguments.rounds)
            print(report.table(part), end="\n\n", flush=True)
            say(f"written: {report.write(name, part, arguments.films)}")
            summary |= part.summary
    print(json.dumps(summary))


def _end(number: int, _: object) -> NoReturn:
    """Stop what was started; a second signal does not cut that short."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def measure(name: str, servers: Servers, films: int, rounds: int) -> Part:
    """Measure one part of the benchmark, on a catalogue as it was generated."""
    films = min(films, PEERS_FILMS) if name == "peers" else films
    servers.restore(films, _OPTIONS.get(name, {}))
    if name in ALONE:
        return ALONE[name](servers, films)
    if name in _OF_BODIES:
        return _OF_BODIES[name](servers, load.bodies(servers), rounds)
    return _OF_FILMS[name](servers, films, rounds)


if __name__ == "__main__":
    main()
