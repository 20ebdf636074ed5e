"""The benchmark's command line: `python -m benchmarks --films 100000 --only load`."""

from __future__ import annotations

import argparse
import json
import sys
import time

from benchmarks import load
from benchmarks.servers import Servers

PARTS = ("load",)


def main() -> None:
    """Measure, and print the summary as the last line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--films", type=int, default=100_000)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    began = time.monotonic()

    def report(line: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {line}", file=sys.stderr, flush=True)

    servers = Servers(report)
    with servers.running(arguments.films):
        bodies = load.bodies(servers)
        part = load.measure(servers, bodies, arguments.rounds)
    for row in part.rows:
        print(f"{row[0]:60} {row[1]}")
    print(json.dumps({"films": arguments.films} | part.summary))


if __name__ == "__main__":
    main()
