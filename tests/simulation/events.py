"""What happens between any two actions of the program, whatever it is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.operators import replace_index, set_clock
from tests.simulation.runs import reconcile, run
from tests.simulation.world import MINUTE, SECOND, weighted
from tests.support.one_thread import Killed

if TYPE_CHECKING:
    from tests.simulation.history import History


def happen(history: History, action: str) -> None:
    """Let one thing happen before an action of the program."""
    event = history.world.pick(EVENTS)
    history.note("before %s: %s", action, event.__name__)
    event(history)


def write(history: History) -> None:
    """Let the site's writers do something."""
    history.writers.act()


def pass_time(history: History) -> None:
    """Let time pass; transactions that are prepared for long end before."""
    world = history.world
    draw = world.random.random()
    longest = 2 * SECOND if draw < 0.4 else MINUTE if draw < 0.8 else 20 * MINUTE
    step = world.random.randint(1000, longest)
    history.writers.hurry(world.now + step)
    world.now += step


def send(history: History) -> None:
    """Let one of the bodies that wait be sent."""
    if history.tasks:
        history.tasks[-1].executor.run_one()


def arrive(history: History) -> None:
    """Let a request arrive for which nobody waits."""
    if history.node.late:
        request = history.world.random.choice(history.node.late)
        history.note("a late request arrives: %s", request)
        history.node.arrive(request)


def refresh(history: History) -> None:
    """Refresh an index, as Elasticsearch does now and then."""
    if history.node.indexes:
        history.world.random.choice(list(history.node.indexes.values())).refresh()


def kill(history: History) -> None:
    """Kill the task that is at work."""
    if history.tasks:
        raise Killed


def lose_session(history: History) -> None:
    """Cut the connection to PostgreSQL."""
    if history.tasks:
        history.tasks[-1].session.lose()


def be_a_zombie(history: History) -> None:
    """Pause the task, its session lost, while others go on; then it goes on, too."""
    if len(history.tasks) == 1:
        history.tally.zombies += 1
        history.tasks[-1].session.lose()
        history.note("it is paused and loses its session")
        _meanwhile(history)
        history.note("the zombie goes on")


def meet_a_rival(history: History) -> None:
    """Start another run beside the one at work."""
    if len(history.tasks) == 1:
        history.tally.rivals += 1
        if history.untraced and history.world.chance(0.5):
            reconcile(history)
        else:
            run(history, retries=0)


def _meanwhile(history: History) -> None:
    for _ in range(history.world.random.randint(0, 4)):
        history.act()
    run(history)
    for _ in range(history.world.random.randint(0, 3)):
        history.act()


def push_back(history: History) -> None:
    """Let Elasticsearch refuse some items for a while, or no longer."""
    node = history.node
    node.pressure = 0.0 if node.pressure else history.world.random.choice((0.1, 0.5))


def let_go(history: History) -> None:
    """Let PostgreSQL notice that a worker vanished."""
    if history.vanished:
        history.vanished.pop(0).session.lose()


def let_all_go(history: History) -> None:
    """Let PostgreSQL notice every worker that vanished."""
    while history.vanished:
        let_go(history)


EVENTS = weighted(
    (write, 30),
    (pass_time, 12),
    (send, 8),
    (arrive, 5),
    (refresh, 3),
    (kill, 4),
    (lose_session, 1),
    (be_a_zombie, 2),
    (meet_a_rival, 2),
    (push_back, 2),
    (set_clock, 2),
    (replace_index, 1),
    (let_go, 2),
)
