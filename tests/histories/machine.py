"""The machine that draws a history: some thirty things that happen, and what must be true then.

Its rules are what sites, servers and operators do; which of them may be chosen does not depend on
the servers, so that a history can be played again. After each run that nothing disturbed the index
has what the catalogue has. At the end every transaction ends, requests that
were under way arrive, and the program runs undisturbed until nothing is sent; a further run sends
nothing, and every document equals one that independent code builds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from elasticsearch import Elasticsearch
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from movies_etl.definitions.definition import IndexDefinition
from movies_etl.definitions.movies import MOVIES
from movies_etl.definitions.persons import PERSONS
from movies_etl.rebuild.plan import EVERYTHING, Asked
from movies_etl.settings import Settings
from movies_etl.sync.asked_for import RunParams

from tests.histories.check import check
from tests.histories.fate import EVENTS, KILLS, Fate, Happening, happenings, kills_of_a_load
from tests.histories.operator import DAMAGE, WAYS, Operator
from tests.histories.program import Program, Trigger
from tests.histories.tasks import Surroundings
from tests.histories.writes import KINDS, MOST_OPEN, UNTRACED, WRITES, Write, Writers, few
from tests.support.divergence import (
    Divergence,
    Results,
    check_counts,
    come_to_rest,
    documents_sent,
)
from tests.support.expected import EXPECTED
from tests.support.fresh import FreshDatabase
from tests.support.tally import Tally

FOUNDING = Write("add film", 0, 0, "now")
FEW_WRITES = few(*KINDS)
ENDS = st.sampled_from(("COMMIT", "COMMIT", "ROLLBACK", "PREPARE"))
WHICH = st.integers(0, 5)
SOON = st.lists(happenings(*EVENTS), min_size=1, max_size=3)


OPERATIONS = (
    "reload all",
    *("reload stream",) * 3,
    *("load document",) * 2,
    *("forget cursor",) * 3,
    "empty index",
    "delete index",
    "recreate index",
    "move alias",
)
"""What is done to the program and to its index."""


REBUILDS = ("anew", "anew", "resume", "rollback")
"""What a person may trigger of the rebuild."""


@dataclass
class Servers:
    """Where histories take place.

    :param database: gives out an empty catalogue.
    :param url: of Elasticsearch.
    :param role: a login that reads everything and may not see when others' transactions began.
    :param rebuilds: whether the index is rebuilt in some of them, which takes seconds each time.
    """

    database: FreshDatabase
    url: str
    role: str
    rebuilds: bool = False


class History(RuleBasedStateMachine):
    """One history."""

    def __init__(self, servers: Servers, tally: Tally) -> None:
        super().__init__()
        self.tally = tally
        self.steps = 0
        self.operated = False
        self.untraced = False
        self.rebuilt = False
        self.approves = True
        self.servers = servers
        self.dsn = servers.database.emptied()
        self._opened = ExitStack()
        self.connection = psycopg.connect(self.dsn, autocommit=True)
        self._opened.callback(self.connection.close)
        self.client = Elasticsearch(servers.url, request_timeout=30)
        self._opened.callback(self.client.close)
        self.fate = Fate(self.happen)

    @initialize(
        definition=st.sampled_from((MOVIES, MOVIES, MOVIES, PERSONS)),
        page_size=st.sampled_from((1, 2, 3, 50)),
        senders=st.sampled_from((1, 2)),
        privileged=st.sampled_from((True, True, True, False)),
        operated=st.sampled_from((True, False, False)),
        untraced=st.sampled_from((False, False, False, True)),
        rebuilt=st.sampled_from((False, False, False, True)),
        approves=st.sampled_from((True, True, False)),
        films=st.integers(2, 8),
        links=st.lists(WRITES, max_size=5),
    )
    def found(
        self,
        *,
        definition: IndexDefinition,
        page_size: int,
        senders: int,
        privileged: bool,
        operated: bool,
        untraced: bool,
        rebuilt: bool,
        approves: bool,
        films: int,
        links: Sequence[Write],
    ) -> None:
        """Write the catalogue that was there before the program."""
        settings = Settings(
            page_size=page_size,
            senders=senders,
            bulk_bytes=1000,
            patience=2,
            horizon_margin=0,
            follow_seconds=2,
            poll_seconds=0.5,
        )
        self.definition = definition
        self.writers = Writers(self.dsn, self.connection, definition.root.rows.table)
        self.operator = Operator(self.client, definition)
        self.operator.clean_up()
        self.around = Surroundings(self.dsn, self.servers.url, definition, self.fate, settings)
        self.program = Program(self.around, note)
        self._opened.callback(self._end_what_is_open)
        self.untraced = untraced
        self.rebuilt = rebuilt and self.servers.rebuilds
        self.approves = approves
        self.operated = operated  # loading everything again heals what went wrong before
        if not privileged:
            self.around.dsn = self.dsn.replace("postgres@", f"{self.servers.role}@")
        for table in ("genre", "person") * 3:
            self.writers.add_named(self.connection, table, FOUNDING)
        for number in range(films):
            self.writers.add_film(self.connection, Write("add film", number, number, "now"))
        self.writers.at_once(links)

    # -- the site --------------------------------------------------------------------------------

    @rule(writes=few("edit film", "edit films", "spoil root"))
    def edit_films(self, writes: Sequence[Write]) -> None:
        self.steps += 1
        self.writers.at_once(writes)

    @rule(writes=few("add film", "edit film"))
    def add_films(self, writes: Sequence[Write]) -> None:
        self.steps += 1
        self.writers.at_once(writes)

    @rule(writes=few("rename genre", "rename person", "rename all"))
    def rename(self, writes: Sequence[Write]) -> None:
        self.steps += 1
        self.writers.at_once(writes)

    @rule(writes=few("link genre", "link person", "recast"))
    def link(self, writes: Sequence[Write]) -> None:
        self.steps += 1
        self.writers.at_once(writes)

    @rule(which=WHICH, writes=FEW_WRITES)
    def begin(self, which: int, writes: Sequence[Write]) -> None:
        """Leave a transaction open, or write in one when there are many."""
        self.steps += 1
        if len(self.writers.open) < MOST_OPEN:
            self.writers.begin(writes)
        else:
            self.writers.write_in(which, writes)

    @rule(which=WHICH, writes=FEW_WRITES)
    def savepoint(self, which: int, writes: Sequence[Write]) -> None:
        self.steps += 1
        if self.writers.open:
            self.writers.savepoint(which, writes)
        else:
            self.writers.begin(writes)

    @rule(which=WHICH, how=ENDS, writes=st.lists(WRITES, max_size=2))
    def end(self, which: int, how: str, writes: Sequence[Write]) -> None:
        """Write, then commit, roll back or prepare."""
        self.steps += 1
        self.writers.write_in(which, writes)
        self.writers.end(which, how)

    @precondition(lambda self: self.untraced)
    @rule(writes=few(*UNTRACED))
    def leave_no_trace(self, writes: Sequence[Write]) -> None:
        self.steps += 1
        self.writers.at_once_untraced(writes)

    @precondition(lambda self: self.untraced)
    @rule(soon=st.lists(happenings(*EVENTS), max_size=2))
    def reconcile(self, soon: Sequence[Happening]) -> None:
        """Let the reconcile run, perhaps disturbed."""
        self.steps += 1
        self.operator.repair_alias()
        with self.fate.awaiting(soon):
            self.program.reconcile()

    @precondition(lambda self: self.untraced)
    @rule(how=st.sampled_from(DAMAGE), which=WHICH)
    def damage(self, how: str, which: int) -> None:
        """Do something to a document by hand."""
        self.steps += 1
        self.operator.repair_alias()
        self.operator.damage(how, which)
        self.program.is_damaged = True

    @precondition(lambda self: self.untraced)
    @rule(approve=st.booleans(), soon=st.lists(happenings(*EVENTS), max_size=1))
    def answer(self, approve: bool, soon: Sequence[Happening]) -> None:
        """Let a person answer for a list, if there is one."""
        self.steps += 1
        self.operator.repair_alias()
        with self.fate.awaiting(soon):
            self.program.purge(approve=approve)

    @precondition(lambda self: self.rebuilt)
    @rule(
        what=st.sampled_from(REBUILDS),
        checks=st.sampled_from((0, EVERYTHING)),
        retries=st.integers(0, 2),
        soon=st.lists(happenings(*EVENTS), max_size=1),
        writes=FEW_WRITES,
    )
    def rebuild(
        self,
        *,
        what: str,
        checks: int,
        retries: int,
        soon: Sequence[Happening],
        writes: Sequence[Write],
    ) -> None:
        """Make the index anew, or take the one before back, perhaps disturbed.

        What is not loaded to the end is not rebuilt, so a run comes before.
        """
        self.steps += 1
        self._run(Trigger(), ())
        self.writers.at_once(writes)
        self.operator.repair_alias()
        asked = Asked(checks=checks, resume=what == "resume", rollback=what == "rollback")
        with self.fate.awaiting(soon):
            self.tally.rebuilds += self.program.rebuild(Trigger(retries=retries), asked)

    # -- the program and its operators -----------------------------------------------------------

    @rule(threads=st.booleans(), follows=st.booleans())
    def run(self, threads: bool, follows: bool) -> None:
        """Do a run that nothing disturbs: then both sides are equal, whatever is still open.

        It fails only when a vanished worker has the lock.
        """
        self.steps += 1
        if self._run(Trigger(threads=threads, follows=follows), ()):
            if not self.untraced:
                self._check()
        elif not self.program.vanished:
            raise Divergence("an undisturbed run fails")

    @rule(
        soon=st.lists(happenings(*KILLS), min_size=1, max_size=2) | SOON,
        retries=st.integers(0, 2),
        at_once=st.booleans(),
        follows=st.booleans(),
        writes=FEW_WRITES,
    )
    def run_disturbed(
        self,
        *,
        soon: Sequence[Happening],
        retries: int,
        at_once: bool,
        follows: bool,
        writes: Sequence[Write],
    ) -> None:
        """Give a run something to do, and disturb it."""
        self.steps += 1
        self.writers.at_once(writes)
        self._run(Trigger(retries=retries, at_once=at_once, follows=follows), soon)

    @rule(kill=kills_of_a_load(), writes=few("edit film", "add film"))
    def kill_a_load(self, kill: Happening, writes: Sequence[Write]) -> None:
        """Kill a run on a quiet site: nothing holds the horizon, so cursors go as far as ever."""
        self.steps += 1
        self._end_transactions()
        self.writers.at_once(writes)
        self._run(Trigger(), (kill,))

    @precondition(lambda self: self.operated)
    @rule(what=st.sampled_from(OPERATIONS), which=WHICH)
    def operate(self, what: str, which: int) -> None:
        """Do one of the things that operators do, or that happens to the index."""
        self.steps += 1
        kind, _, of = what.partition(" ")
        stream = self.definition.streams[which % len(self.definition.streams)].name
        if kind == "reload":
            self._run(Trigger(reload="all" if of == "all" else stream), ())
        elif kind == "load":
            ids = [self.writers.roots[which % len(self.writers.roots)]]
            self._run(Trigger(asked=RunParams(ids=ids, replay=("all",) * (which % 2))), ())
        elif kind == "forget":
            self.program.cursors.texts.pop(stream, None)
        elif kind != "empty":
            self.operator.replace(kind)
        elif not self.around.late and self.operator.live():  # it is noticed while nothing writes
            self.operator.empty(self.definition.alias)

    def _run(self, trigger: Trigger, soon: Sequence[Happening]) -> Results | None:
        self.operator.repair_alias()
        if self.program.vanished:  # the turn of a worker that vanished would be waited for
            trigger = replace(trigger, follows=False)
        with self.fate.awaiting(soon):
            return self.program.run(trigger)

    # -- the servers -----------------------------------------------------------------------------

    @rule(which=WHICH)
    def let_arrive(self, which: int) -> None:
        """Let a late request arrive, or PostgreSQL notice that a worker vanished."""
        self.steps += 1
        if self.program.vanished and (which % 2 or not self.around.late):
            self.program.vanished.pop(0).end()
        elif self.around.late:
            self.around.deliver(which % len(self.around.late), self.client)
        else:
            self.operator.refresh()

    # -- what happens in the middle of a run -----------------------------------------------------

    def happen(self, one: Happening) -> None:
        """Let something happen to the task at work."""
        task = self.program.tasks[-1]
        if one.event in KILLS:
            self.program.leave_session_open = one.event == "kill, session left open"
            task.be_killed(requests_leave=one.event == "kill, requests under way")
        elif one.event in ("busy", "unreachable", "no answer", "late"):
            task.faults.append(one.event)
        else:
            self._move(one)

    def _move(self, one: Happening) -> None:
        """Let the site, another run or an operator do something."""
        self.writers.at_once(one.writes)
        if one.event in ("lose the session", "be a zombie"):
            self._cut(self.program.tasks[-1].session)
        if one.event in ("be a zombie", "meet a rival"):
            self._run(Trigger(), ())
        elif one.event == "commit":
            self.writers.end(one.times, "COMMIT")
        elif one.event == "replace the index":
            self.operator.replace(WAYS[one.times % 3])
        elif one.event == "refresh":
            self.operator.refresh()

    def _cut(self, session: psycopg.Connection[Any]) -> None:
        """End a session from outside, and wait until its locks are free."""
        if session.closed:
            return
        pid = session.info.backend_pid
        self.connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
        there = "SELECT FROM pg_stat_activity WHERE pid = %s"
        while self.connection.execute(there, (pid,)).fetchone():
            pass

    # -- the end ---------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Let everything come to rest and look at the result, unless it ended before.

        It does, too, where hypothesis has nothing more to draw from, perhaps within ``found``.
        """
        try:
            if sys.exc_info()[1] is None:
                self.come_to_rest()
                if self._check():
                    check_counts(self.program.differences.last)
                self.tally.histories += 1
                self.tally.steps += self.steps
                self.tally.runs += self.program.runs
                self.tally.kills += self.program.kills
                self.tally.late += len(self.around.arrived)
                self.tally.recreated += self.operator.replaced
        finally:
            self._opened.close()

    def _end_what_is_open(self) -> None:
        while self.writers.is_anything_open():
            self.writers.end(0, "ROLLBACK")
        for task in self.program.vanished:
            task.end()

    def _check(self) -> bool:
        wanted = EXPECTED[self.definition.name](self.connection)
        return check(wanted, self.operator, self.program)

    def come_to_rest(self) -> None:
        """End what is open, let half of the late requests arrive before, half after the runs."""
        self._end_transactions()
        while self.program.vanished:
            self.program.vanished.pop().end()
        self._deliver(len(self.around.late) // 2)
        come_to_rest(self._clean_run)
        if self.program.cursors.indexes():
            self.program.rebuild(Trigger(), Asked(rollback=True))
            come_to_rest(self._clean_run)
        self._deliver(len(self.around.late))
        if self.untraced:
            self._be_reconciled()
        if again := self._clean_run():
            raise Divergence(f"a further run sent {again} documents")

    def _be_reconciled(self) -> None:
        """Do what is done within the documented delays, at the end of which all is found."""
        rounds = 2
        while rounds:
            rounds -= 1
            if self.program.reconcile() is None:
                raise Divergence("an undisturbed reconcile fails")
            self._clean_run()
            while done := self.program.purge(approve=self.approves):
                note(f"answered: {done}")
                rounds = 2  # what was left for the answer's sake is gone on with
            if done is None:
                raise Divergence("an undisturbed purge fails")
            self._clean_run()

    def _end_transactions(self) -> None:
        while self.writers.is_anything_open():
            self.writers.end(0, "COMMIT")

    def _deliver(self, number: int) -> None:
        for _ in range(number):
            self.around.deliver(-1, self.client)

    def _clean_run(self) -> int:
        return documents_sent(self._run(Trigger(), ()))
