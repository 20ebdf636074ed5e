from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.meter import Meter, peak_memory
from local.elasticsearch import Elasticsearch
from local.postgres import Postgres

BURN = "import time\nwhile time.process_time() < 0.5: pass\nprint(flush=True)\ninput()"


def test_the_time_of_children_counts_while_they_live_and_when_they_have_ended() -> None:
    meter = Meter(postgres=os.getpid(), elasticsearch=os.getpid())
    before = meter.read()
    child = subprocess.Popen(
        [sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    child.stdout.readline()  # it has burnt its half second
    alive = meter.read().since(before)
    child.communicate("\n")
    ended = meter.read().since(before)

    assert 0.4 < alive.postgres - alive.elasticsearch < 1.5
    assert 0.4 < ended.postgres - ended.elasticsearch < 1.5
    assert ended.task < 0.4  # the child's time is not this process's


def test_servers_are_read(postgres: Postgres, elasticsearch_node: Elasticsearch) -> None:
    assert postgres.pid is not None
    assert elasticsearch_node.pid is not None
    reading = Meter(postgres.pid, elasticsearch_node.pid).read()
    assert reading.postgres > 0
    assert reading.elasticsearch > 1  # a Java has started


def test_peak_memory_stays_when_it_is_given_back() -> None:
    code = (
        "from benchmarks.meter import peak_memory\n"
        "low = peak_memory(); block = bytearray(100_000_000); del block\n"
        "assert 90 < peak_memory() - low < 130"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert peak_memory() > 10
