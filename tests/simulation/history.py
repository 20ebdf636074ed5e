"""One history: what happens to the site, the program and both servers, by chance and by scenario.

In most histories nothing is deleted and no row is dated back beyond the margin: what ``modified``
cannot show is not the sync's to find. In one of four it happens, and the reconcile runs, too. In
one of six the index is made anew, and taken back, whatever else goes on. At the end every
transaction ends, the program runs undisturbed until it has nothing to do, requests that were under
way arrive, and then every document must equal one that is built here from the model's tables.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from movies_etl.settings import Settings
from movies_etl.state.run_context import RunContext

from tests.simulation.check import check, check_deleted_rows
from tests.simulation.damage import damage
from tests.simulation.elasticsearch import Node
from tests.simulation.events import arrive, happen, let_all_go, pass_time
from tests.simulation.following import FOLLOWING
from tests.simulation.gone import UNTRACED
from tests.simulation.operators import operate, repair_alias
from tests.simulation.postgres import Postgres
from tests.simulation.rebuilds import OF_REBUILDS, go_back_undisturbed, rebuild_or_go_back
from tests.simulation.replicated import REPLICATED
from tests.simulation.runs import clean_run, purge, reconcile, run
from tests.simulation.scenarios import OF_OPERATORS, SCENARIOS
from tests.simulation.shapes import shape_of
from tests.simulation.stand_ins import CLOCK
from tests.simulation.standby import Standby
from tests.simulation.steps_back import STEPS_BACK
from tests.simulation.tally import Tally
from tests.simulation.tasks import Cursors, Horizons, Task
from tests.simulation.world import (
    HOUR,
    MINUTE,
    SECOND,
    World,
    described,
    weighted,
)
from tests.simulation.world import microseconds as at
from tests.simulation.writers import Writers
from tests.support.divergence import Divergence, come_to_rest
from tests.support.site import MemoryDifference, MemoryReconcile

MARGIN = 5.0
ENOUGH = 60.0
"""Seconds in which the reconcile comes to the end of everything."""
BERLIN = "Europe/Berlin"
ORDINARY = at("2026-03-03T12:00:00+00:00")
CLOCKS_GO_BACK = at("2026-10-25T00:30:00+00:00")
"""Half an hour before clocks in Berlin go back from three to two."""


class Length(NamedTuple):
    """How much a history is made of; each number is that of an average one."""

    acts: int
    scenarios: int
    most_films: int


LENGTHS = weighted(
    (Length(acts=2, scenarios=2, most_films=3), 89),
    (Length(acts=8, scenarios=0, most_films=3), 8),
    (Length(acts=15, scenarios=2, most_films=6), 2),
    (Length(acts=15, scenarios=3, most_films=6), 1),
)
"""Most are short: a second of them finds more than a second of long ones. What takes a long memory
is for the others."""


@cache
def _settings(page_size: int, senders: int, zone: str) -> Settings:
    return Settings(
        page_size=page_size,
        bulk_bytes=1000,
        senders=senders,
        patience=2,
        horizon_margin=MARGIN,
        timestamp_zone=zone,
        follow_seconds=20,
        poll_seconds=1,
    )


class History:
    """What happens in one world."""

    def __init__(self, seed: int, tally: Tally, trace: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.tally = tally
        self.world = world = World(seed, trace)
        choose = world.random.choice
        walls = world.chance(0.13)
        world.now = CLOCKS_GO_BACK if walls and world.chance(0.7) else ORDINARY
        world.restlessness = choose((8, 20, 60))
        self.zone = BERLIN if walls else None
        self.postgres = Postgres(world, zone=self.zone, margin=int(MARGIN * SECOND))
        self.shape = shape_of(seed)
        self.untraced = seed // 4 % 4 == 3
        self.rebuilt = seed % 6 == 5
        self.rebuild_states: dict[str, str] = {}
        self.is_damaged = False
        self.node = Node(world, self.shape.definition.alias)
        self.settings = _settings(choose((1, 2, 3, 50)), choose((1, 2, 3)), self.zone or "UTC")
        self.privileged = not world.chance(0.15)
        self.patience = (0.0, 0.02, ENOUGH)[seed // 16 % 3]
        self.follows = world.chance(0.25)
        self.steps_back = world.chance(0.4)
        self.faults = choose((0.0, 0.01, 0.05))
        self.operated = world.chance(0.1 if self.untraced else 0.6)
        self.standby = Standby(self.postgres) if seed % 5 == 2 and self.privileged else None
        self.writers = Writers(self.postgres, self.shape, self.note, untraced=self.untraced)
        self.cursors = Cursors(self)
        self.horizons = Horizons(world)
        self.differences = MemoryDifference()
        self.reconciled = MemoryReconcile()
        self.tasks: list[Task] = []
        self.vanished: list[Task] = []
        self.windows: list[RunContext] = []
        self.runs = 0
        self.farthest = ""
        world.happen = lambda action: happen(self, action)

    def note(self, line: str, *values: object) -> None:
        """Write a line of the trace, its ``%s`` replaced by values."""
        if self.world.trace:
            line %= tuple(described(value) for value in values)
            self.world.trace(f"{self.world.now / SECOND:.6f} {'  ' * len(self.tasks)}{line}")

    def play(self) -> None:
        """Let everything happen, then check.

        :raises Divergence: the index is not what it should be.
        """
        CLOCK.world = self.world
        length = self.world.pick(LENGTHS)
        self.writers.found(length.most_films)
        self.world.calm = False
        for _ in range(self.world.random.randint(length.acts // 2, length.acts * 3 // 2)):
            self.act()
        for _ in range(length.scenarios):
            self.play_scenario()
        self.finish()

    def act(self) -> None:
        """Do one of the things that a history is made of."""
        if self.untraced and self.world.chance(0.3):
            self.world.pick((reconcile, reconcile, damage))(self)
            return
        if self.rebuilt and self.world.chance(0.15):
            rebuild_or_go_back(self)
            return
        draw = self.world.random.random()
        if draw < 0.55:
            self.writers.act()
        elif draw < 0.72:
            pass_time(self)
        elif draw < 0.82:
            run(self)
        elif draw < 0.85:
            arrive(self)
        elif draw < 0.91 and not self.tasks:
            self.play_scenario()
        elif self.operated:
            operate(self)

    def play_scenario(self) -> None:
        """Play one of the scenarios, mostly with nothing else going on."""
        self.world.hushed = self.world.chance(0.93)
        if self.world.hushed:
            self.node.pressure = 0.0
            repair_alias(self)
            let_all_go(self)
            if self.zone and self.world.chance(0.8):
                self._leave_the_hour_behind()
        if self.rebuilt and self.world.chance(0.4):
            scenarios = OF_REBUILDS
        elif self.untraced and self.world.chance(0.9):
            scenarios = UNTRACED
        elif self.follows and self.world.chance(0.35):
            scenarios = FOLLOWING
        elif self.standby and self.world.chance(0.35):
            scenarios = REPLICATED
        elif self.steps_back and self.world.chance(0.35):
            scenarios = STEPS_BACK
        else:
            scenarios = SCENARIOS + OF_OPERATORS * self.operated
        self.world.pick(scenarios)(self)
        self.world.hushed = False

    def _leave_the_hour_behind(self) -> None:
        """Let the hour pass that the clocks go through twice: it keeps all rows above horizons."""
        self.writers.hurry(self.world.now + 3 * HOUR)
        self.world.now += 3 * HOUR

    def finish(self) -> None:
        """Let everything come to rest, and look at the result."""
        self.note("-- the end: nothing disturbs any more")
        self.world.calm = True
        self.node.pressure = 0.0
        self.writers.settle_down()
        let_all_go(self)
        repair_alias(self)
        for request in list(self.node.late):
            if self.world.chance(0.5):
                self.node.arrive(request)
        come_to_rest(self._clean_run)
        if self.rebuilt and self.world.chance(0.3):
            go_back_undisturbed(self)
            come_to_rest(self._clean_run)
        if self.untraced:
            self._be_reconciled()
        if self.node.late or self.world.chance(0.2):
            self._go_on()
        check(self)

    def _be_reconciled(self) -> None:
        """Do what is done within the documented delays, at the end of which all is found."""
        self._clean_run()
        check_deleted_rows(self)
        self._deliver_late_requests()
        rounds = 3  # the first one ends what was under way
        while rounds:
            rounds -= 1
            self.world.now += 5 * MINUTE
            if reconcile(self) is None:
                raise Divergence("an undisturbed reconcile fails")
            self._clean_run()
            if self._answer():
                rounds = 2  # what was left for the answer's sake is gone on with

    def _answer(self) -> bool:
        """Let a person answer what is asked; a run that asked before may be gone.

        :returns: whether anything was asked.
        """
        self.world.now += 30 * HOUR
        is_asked = False
        while done := purge(self, approve=self.world.chance(0.7)):
            self.note("a person answered: %s", done)
            is_asked = True
        if done is None:
            raise Divergence("an undisturbed purge fails")
        if is_asked:
            self._clean_run()
        return is_asked

    def _go_on(self) -> None:
        """Let what is still under way arrive, and another run find nothing to do."""
        self._deliver_late_requests()
        if again := self._clean_run():
            raise Divergence(f"a further run sent {again} documents")

    def _deliver_late_requests(self) -> None:
        for request in list(self.node.late):
            self.note("a late request arrives")
            self.node.arrive(request)

    def _clean_run(self) -> int:
        self.world.now += 6 * MINUTE  # so long that counts are compared again
        return clean_run(self)
