"""Plays histories on the real servers, one after another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
from hypothesis import HealthCheck, Phase, seed
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test
from movies_etl.follow import run as follow_run
from movies_etl.follow import spell, turns
from movies_etl.postgres import horizon, source
from movies_etl.reconcile import contents, each_run, fuses, presence, repair, task
from movies_etl.sync import prepare

from local.postgres import Postgres
from tests.histories.machine import History, Servers
from tests.simulation.breaks import BREAKS
from tests.simulation.check import MOST_DELETED, MOST_REWRITTEN
from tests.simulation.stand_ins import OF_REBUILDS, TIMED
from tests.support.faults import Time
from tests.support.fresh import FreshDatabase
from tests.support.tally import Tally

STEPS = 38
"""Most steps of a history, its founding included. Hypothesis goes on to the last one, but for some
variations of earlier histories that it cuts short: the mean is measured by the test."""

ROLE = "reads_only"


def servers(postgres: Postgres, database: FreshDatabase, url: str) -> Servers:
    """Return where histories take place, with a role that may read everything."""
    postgres.createuser(ROLE)
    database.allow_reading(ROLE)
    return Servers(database, url, ROLE)


@contextmanager
def hurried() -> Iterator[None]:
    """Let the program wait for nothing: its pauses take no time."""
    with pytest.MonkeyPatch.context() as patch:
        stand_in = Time()
        stand_in.install(patch)
        for module in (horizon, repair, task, follow_run, spell, turns, *TIMED):
            patch.setattr(module, "time", stand_in)
        for module, name, value in OF_REBUILDS:
            patch.setattr(module, name, value)
        patch.setattr(prepare, "LOCK_WAIT_SECONDS", 0.0)
        patch.setattr(source, "FETCHED_ROWS", 2)
        patch.setattr(fuses, "FEW_DELETIONS", MOST_DELETED)
        patch.setattr(fuses, "FEW_REWRITES", MOST_REWRITTEN)
        patch.setattr(presence, "FEW_DOCUMENTS", 2)
        patch.setattr(presence, "DOCUMENTS_PER_RANGE", 1)
        patch.setattr(contents, "READ_TOGETHER", 2)
        patch.setattr(each_run, "_is_due", lambda *_: True)  # else the time would decide
        yield


def play(
    where: Servers,
    histories: int,
    *,
    first: int | None = None,
    shrink: bool = True,
    rule: str | None = None,
    tally: Tally | None = None,
) -> Tally:
    """Play histories.

    :param first: the seed; None takes a fresh one.
    :param rule: whose protection is switched off, see ``tests/simulation/breaks.py``.
    :param tally: where it is counted, also when one diverges.
    :param shrink: look for the shortest history that diverges.
    :raises Divergence: one diverges; hypothesis adds its steps to the error.
    """
    tally = Tally() if tally is None else tally

    def history() -> History:
        return History(where, tally)

    chosen = time.time_ns() if first is None else first
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    with hurried(), BREAKS[rule]() if rule else nullcontext():
        run_state_machine_as_test(
            seed(chosen)(history),  # type: ignore[arg-type]  # whatever makes a machine
            settings=hypothesis_settings(
                max_examples=histories,
                stateful_step_count=STEPS,
                phases=phases,
                deadline=None,
                database=None,
                print_blob=True,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    return tally
