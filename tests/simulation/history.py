"""One history: what happens to the site, the program and both servers, by chance and by scenario.

No films or links are deleted, no row is dated back beyond the margin: what ``modified`` cannot show
is not the sync's to find. At the end every transaction ends, the program
runs undisturbed until it has nothing to do, requests that were under way arrive, and then every
document must equal one that is built here from the model's tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Self, TypeVar

from movies_etl import index as elastic
from movies_etl.counts import compared
from movies_etl.cursors import LEASE
from movies_etl.dead_letters import DeadLetters
from movies_etl.errors import MoviesEtlError
from movies_etl.index import Index
from movies_etl.init import State, open_window
from movies_etl.settings import Settings
from movies_etl.settlement import Counters
from movies_etl.starts import Reload
from movies_etl.streams import STREAMS, Stream
from movies_etl.sync import Parts, Requests, sync
from movies_etl.window import Window

from tests.simulation import tasks
from tests.simulation.check import check
from tests.simulation.elasticsearch import Node
from tests.simulation.postgres import Postgres
from tests.simulation.scenarios import OF_OPERATORS, SCENARIOS
from tests.simulation.steps_back import STEPS_BACK
from tests.simulation.tasks import Cursors, Horizons, Task
from tests.simulation.world import (
    ACTION,
    CLOCK,
    MINUTE,
    SECOND,
    Divergence,
    Killed,
    World,
    described,
)
from tests.simulation.world import microseconds as at
from tests.simulation.writers import Writers
from tests.site import MemoryDifference

ResultT = TypeVar("ResultT")

LENGTH = 15
MARGIN = 5.0
BERLIN = "Europe/Berlin"
ORDINARY = at("2026-03-03T12:00:00+00:00")
CLOCKS_GO_BACK = at("2026-10-25T00:30:00+00:00")
"""Half an hour before clocks in Berlin go back from three to two."""


@dataclass
class Tally:
    """What was done, for the line at the end."""

    histories: int = 0
    runs: int = 0
    steps: int = 0
    kills: int = 0
    zombies: int = 0
    rivals: int = 0
    recreated: int = 0
    divergences: int = 0
    diverged: list[int] = field(default_factory=list)

    def __iadd__(self, other: Tally) -> Self:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self

    def __str__(self) -> str:
        return (
            f"{self.histories} histories, {self.steps} steps, {self.runs} runs, {self.kills} "
            f"kills, {self.zombies} zombies, {self.rivals} rivals, {self.recreated} indexes "
            f"recreated, {self.divergences} divergences"
        )


@cache
def _settings(page_size: int, senders: int, zone: str) -> Settings:
    return Settings(
        page_size=page_size,
        bulk_bytes=1000,
        senders=senders,
        patience=2,
        horizon_margin=MARGIN,
        timestamp_zone=zone,
    )


class History:
    """What happens in one world."""

    def __init__(self, seed: int, tally: Tally, trace: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.tally = tally
        self.world = world = World(seed, trace)
        choose = world.random.choice
        walls = world.chance(0.2)
        world.now = CLOCKS_GO_BACK if walls and world.chance(0.7) else ORDINARY
        world.restlessness = choose((8, 20, 60))
        self.zone = BERLIN if walls else None
        self.postgres = Postgres(world, zone=self.zone, margin=int(MARGIN * SECOND))
        self.node = Node(world)
        self.settings = _settings(choose((1, 2, 3, 50)), choose((1, 2, 3)), self.zone or "UTC")
        self.privileged = not world.chance(0.15)
        self.steps_back = world.chance(0.4)
        self.faults = choose((0.0, 0.01, 0.05))
        self.operated = world.chance(0.4)
        self.writers = Writers(self.postgres, self.note)
        self.cursors = Cursors(self)
        self.horizons = Horizons(world)
        self.differences = MemoryDifference()
        self.tasks: list[Task] = []
        self.vanished: list[Task] = []
        self.windows: list[Window] = []
        self.runs = 0
        self.farthest = ""
        world.happen = self.happen
        self.events = world.random.choices(
            (
                self.writers.act,
                self.pass_time,
                self.send,
                self.arrive,
                self.refresh,
                self.kill,
                self.lose_session,
                self.be_a_zombie,
                self.meet_a_rival,
                self.push_back,
                self.set_clock,
                self.replace_index,
                self.let_go,
            ),
            (30, 12, 8, 5, 3, 4, 1, 2, 2, 2, 2, 1, 2),
            k=128,
        )

    def note(self, line: str) -> None:
        """Write a line of the trace."""
        if self.world.trace:
            self.world.trace(f"{self.world.now / SECOND:.6f} {'  ' * len(self.tasks)}{line}")

    # -- the whole -------------------------------------------------------------------------------

    def play(self) -> None:
        """Let everything happen, then check.

        :raises Divergence: the index is not what it should be.
        """
        CLOCK.world = self.world
        self.writers.found()
        self.world.calm = False
        for _ in range(self.world.random.randint(LENGTH // 2, LENGTH * 3 // 2)):
            self.act()
        for _ in range(self.world.pick((2, 2, 3))):
            self.play_scenario()
        self.finish()

    def act(self) -> None:
        """Do one of the things that a history is made of."""
        draw = self.world.random.random()
        if draw < 0.55:
            self.writers.act()
        elif draw < 0.72:
            self.pass_time()
        elif draw < 0.82:
            self.run()
        elif draw < 0.85:
            self.arrive()
        elif draw < 0.91 and not self.tasks:
            self.play_scenario()
        elif self.operated:
            self.operate()

    def play_scenario(self) -> None:
        """Play one of the scenarios, mostly with nothing else going on."""
        self.world.hushed = self.world.chance(0.8)
        if self.world.hushed:
            self.node.pressure = 0.0
            self.mend_alias()
            self.let_all_go()
        if self.steps_back and self.world.chance(0.5):
            scenarios = STEPS_BACK
        else:
            scenarios = SCENARIOS + OF_OPERATORS * self.operated
        self.world.pick(scenarios)(self)
        self.world.hushed = False

    def finish(self) -> None:
        """Let everything come to rest, and look at the result."""
        world = self.world
        self.note("-- the end: nothing disturbs any more")
        world.calm = True
        self.node.pressure = 0.0
        self.writers.settle_down()
        self.let_all_go()
        self.mend_alias()
        for request in list(self.node.late):
            if world.chance(0.5):
                self.node.arrive(request)
        for _ in range(10):
            world.now += 2 * MINUTE
            if self._clean_run() == 0:
                break
        else:
            raise Divergence("ten undisturbed runs and there is still something to be sent")
        for request in list(self.node.late):
            self.note("a late request arrives")
            self.node.arrive(request)
        world.now += 7 * MINUTE
        if again := self._clean_run():
            raise Divergence(f"a further run sent {again} documents")
        check(self)

    def _clean_run(self) -> int:
        counters = self.run(retries=0)
        if counters is None:
            raise Divergence("an undisturbed run fails")
        return tasks.sent(counters)

    # -- the program -----------------------------------------------------------------------------

    def run(
        self, reload: Reload = "none", asked: Requests | None = None, retries: int | None = None
    ) -> list[Counters] | None:
        """Do what a run of the DAG does; None when it came to no end."""
        self.runs += 1
        self.tally.runs += 1
        name = f"run {self.runs}"
        if retries is None:
            retries = self.world.random.choice((0, 1, 2))

        def opened(task: Task) -> Window:
            return open_window(
                task.source,
                task.client,  # type: ignore[arg-type]
                State(self.cursors, self.horizons),
                self.settings,
                reload,
            )

        window = self._attempts(f"{name} init", None, opened, retries)
        if window is None:
            return None
        self.farthest = max(self.farthest, window.horizon)
        self.note(f"{name}: {window}")
        self.windows.append(window)
        return self._streams(name, window, STREAMS, asked, retries)

    def clear(self, window: Window, first: str) -> None:
        """Clear the task of an earlier run, and those behind it: they are done again."""
        names = [stream.name for stream in STREAMS]
        self.note(f"cleared task {first} of the run with {window}")
        self._streams("cleared", window, STREAMS[names.index(first) :], None, retries=0)

    def _streams(
        self,
        name: str,
        window: Window,
        streams: Sequence[Stream],
        asked: Requests | None,
        retries: int,
    ) -> list[Counters] | None:
        done = []
        for stream in streams:
            counters = self._stream(name, window, stream, asked, retries)
            if counters is None:
                return None
            done.append(counters)
        return done

    def _stream(
        self, name: str, window: Window, stream: Stream, asked: Requests | None, retries: int
    ) -> Counters | None:
        counters = Counters()

        def synced(task: Task) -> Counters:
            parts = Parts(
                source=task.source,
                index=Index(task.client, window.index, self.settings.patience),  # type: ignore[arg-type]
                letters=DeadLetters(task.client, self.settings.patience),  # type: ignore[arg-type]
                cursors=self.cursors,
                executor=task.executor,
                counters=counters,
                lock_wait=1.0,
            )
            whole = asked if asked is None or stream is STREAMS[0] else Requests(asked.page_size)
            sync(stream, window, parts, self.settings, whole)
            if stream is STREAMS[-1]:
                compared(window, parts, self.differences)
            return counters

        return self._attempts(f"{name} {stream.name}", window, synced, retries)

    def _attempts(
        self, name: str, window: Window | None, body: Callable[[Task], ResultT], retries: int
    ) -> ResultT | None:
        for _ in range(retries + 1):
            result = self._attempt(name, window, body)
            if result is not None:
                return result
            self.world.now += 10 * SECOND
        return None

    def _attempt(
        self, name: str, window: Window | None, body: Callable[[Task], ResultT]
    ) -> ResultT | None:
        task = Task(self, name, window)
        self.tasks.append(task)
        self.note(f"{name} begins")
        vanished = False
        try:
            try:
                result = body(task)
            except MoviesEtlError as error:
                self.note(f"{name} fails: {error!r}")
                while task.executor.waiting:  # as leaving the executor's block does
                    task.executor.waiting[0].run()
                if self.world.calm:
                    raise Divergence(f"{name} fails undisturbed: {error!r}") from error
                return None
            else:
                self.note(f"{name} ends: {described(result)}")
                return result
        except Killed:
            self.note(f"{name} is killed")
            self.tally.kills += 1
            vanished = self.world.chance(0.2)
            task.die(self.world)
            return None
        finally:
            self.tasks.remove(task)
            if vanished:
                self.vanished.append(task)
            else:
                task.source.lose()

    # -- what happens between any two actions ----------------------------------------------------

    def happen(self, action: str) -> None:
        """Let one thing happen before an action of the program."""
        event = self.world.pick(self.events)
        if self.world.trace:
            self.note(f"before {action}: {event.__name__}")
        event()

    def pass_time(self) -> None:
        """Let time pass; transactions that are prepared for long end before."""
        draw = self.world.random.random()
        longest = 2 * SECOND if draw < 0.4 else MINUTE if draw < 0.8 else 20 * MINUTE
        step = self.world.random.randint(1000, longest)
        self.writers.hurry(self.world.now + step)
        self.world.now += step

    def send(self) -> None:
        """Let one of the bodies that wait be sent."""
        if self.tasks:
            self.tasks[-1].executor.run_one()

    def arrive(self) -> None:
        """Let a request arrive for which nobody waits."""
        if self.node.late:
            request = self.world.random.choice(self.node.late)
            self.note(f"a late request arrives: {described(request)}")
            self.node.arrive(request)

    def refresh(self) -> None:
        """Refresh an index, as Elasticsearch does now and then."""
        if self.node.indexes:
            self.world.random.choice(list(self.node.indexes.values())).refresh()

    def kill(self) -> None:
        """Kill the task that is at work."""
        if self.tasks:
            raise Killed

    def lose_session(self) -> None:
        """Cut the connection to PostgreSQL."""
        if self.tasks:
            self.tasks[-1].source.lose()

    def be_a_zombie(self) -> None:
        """Pause the task, its session lost, while others go on; then it goes on, too."""
        if len(self.tasks) == 1:
            self.tally.zombies += 1
            self.tasks[-1].source.lose()
            self.note("it is paused and loses its session")
            self._meanwhile()
            self.note("the zombie goes on")

    def meet_a_rival(self) -> None:
        """Start another run beside the one at work."""
        if len(self.tasks) == 1:
            self.tally.rivals += 1
            self.run(retries=0)

    def _meanwhile(self) -> None:
        for _ in range(self.world.random.randint(0, 4)):
            self.act()
        self.run()
        for _ in range(self.world.random.randint(0, 3)):
            self.act()

    def push_back(self) -> None:
        """Let Elasticsearch refuse some items for a while, or no longer."""
        self.node.pressure = 0.0 if self.node.pressure else self.world.random.choice((0.1, 0.5))

    def set_clock(self) -> None:
        """Set the database's clock back, or right again."""
        world = self.world
        if not self.steps_back:
            return
        longest = world.random.choice((20 * ACTION, 4 * SECOND, 3 * MINUTE))
        world.behind = 0 if world.behind else world.random.randint(1, longest)
        self.note(f"the database's clock is {world.behind / SECOND} s behind")

    def let_go(self) -> None:
        """Let PostgreSQL notice that a worker vanished."""
        if self.vanished:
            self.vanished.pop(0).source.lose()

    def let_all_go(self) -> None:
        """Let PostgreSQL notice every worker that vanished."""
        while self.vanished:
            self.let_go()

    # -- what an operator does -------------------------------------------------------------------

    def operate(self) -> None:
        """Do one of the things that operators do."""
        self.world.random.choice(
            (
                self.delete_cursors,
                self.replace_index,
                self.mend_alias,
                self.empty_index,
                self.reload,
                self.ask_for_films,
                self.clear_a_task,
                self.set_clock,
            )
        )()

    def delete_cursors(self, *, everything: bool = False) -> None:
        """Delete a cursor or all; not while documents are far ahead of the clock: an error."""
        clock = self.world.database_clock + LEASE
        for index in self.node.indexes.values():
            if any(held.version > clock for held in index.held.values()):
                return
        names = list(self.cursors.texts)
        if names:
            everything = everything or self.world.chance(0.4)
            some = names if everything else [self.world.random.choice(names)]
            for name in some:
                del self.cursors.texts[name]
            self.note(f"deleted the cursors of {some}")

    def replace_index(self) -> None:
        """Delete the index, move the alias to an empty one, or recreate it under its name."""
        node, name = self.node, next(iter(sorted(self.node.aliased)), None)
        if name is None or not self.operated:
            return
        self.tally.recreated += 1
        draw = self.world.random.random()
        if draw < 0.4:
            node.delete(name)
            self.note(f"deleted index {name}")
            return
        mappings = elastic.definition(self.settings.include_dir)["mappings"]
        if draw < 0.7 or self.tasks:  # under a running task it would be taken for the same
            node.aliased.discard(name)
            name = f"movies-manual-{self.tally.recreated}"
        node.create(name, mappings, aliased=True)
        self.note(f"alias movies leads to a fresh {name}")

    def mend_alias(self) -> None:
        """Leave the alias to one index, when it was moved while ``init`` created one."""
        for name in sorted(self.node.aliased)[1:]:
            self.node.aliased.discard(name)

    def empty_index(self) -> None:
        """Delete every document by hand; seen only while nothing writes until the next init."""
        live = self.node.live()
        if live and not self.tasks and not self.node.late:
            live.held.clear()
            live.refresh()
            self.windows.clear()  # what a cleared task adds hides from init that it was emptied
            self.note("emptied the index")

    def reload(self) -> None:
        """Trigger a run that loads a stream again."""
        which: Reload = self.world.random.choice(("all", "film_work", "genre", "person"))
        self.note(f"reload={which}")
        self.run(reload=which)

    def clear_a_task(self) -> None:
        """Clear a task of an earlier run."""
        if self.windows:
            first = self.world.pick(STREAMS).name
            self.clear(self.world.pick(self.windows), first)

    def ask_for_films(self) -> None:
        """Trigger a run that loads films, and replays dead letters."""
        films = list(self.postgres.tables["film_work"])
        ids = self.world.random.sample(films, min(2, len(films)))
        replay = ("all",) if self.world.chance(0.5) else ()
        self.note(f"ids={ids} replay={replay}")
        self.run(asked=Requests(ids=ids, replay=replay))
