"""containers/celery.yaml: tasks run on several workers, and one that dies is replaced."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.containers.faults import TAKEN_UP, rename_persons
from tests.containers.stack import CeleryStack, grow, running, wait_until

pytestmark = [pytest.mark.timeout(3600), pytest.mark.usefixtures("images")]

FILMS = 17_472
COPIES = 2


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CeleryStack]:
    celery = CeleryStack(tmp_path_factory.mktemp("celery"))
    celery.compose("build")
    with running(celery) as stack:
        yield stack


@pytest.fixture(scope="module")
def large(stack: CeleryStack) -> CeleryStack:
    """The stack with so many films that their load takes a while."""
    with stack.catalogue() as catalogue:
        grow(catalogue, COPIES)
    return stack


def workers(stack: CeleryStack) -> list[str]:
    """Return the ids of the workers' containers, those that ended included."""
    return stack.compose("ps", "--all", "--quiet", "airflow-worker").split()


def test_it_comes_up_healthy_and_the_workers_load_every_film(stack: CeleryStack) -> None:
    unwell = {
        name: state
        for name, state in stack.services().items()
        if state not in ("running healthy", "exited")
    }
    assert unwell == {}
    assert len(workers(stack)) == 2
    stack.synced()
    assert stack.assert_equal() >= FILMS


def test_another_worker_goes_on_where_a_killed_one_stood(large: CeleryStack) -> None:
    load = large.load()
    before = load.position()
    killed = large.worker_of(load.run, "film_work")
    subprocess.run(["docker", "kill", killed], check=True, capture_output=True)
    rename_persons(large)
    wait_until(lambda: load.attempt() == 2, what="the next attempt", seconds=TAKEN_UP)
    load.recovers(before)
    assert large.worker_of(load.run, "film_work") != killed
    large.assert_equal()
    large.up()


def test_a_restarted_queue_loses_nothing(large: CeleryStack) -> None:
    load = large.load()
    before = load.position()
    large.compose("restart", "redis")
    rename_persons(large)
    load.recovers(before)
    large.assert_equal()


def test_the_queue_wants_its_password(stack: CeleryStack) -> None:
    said = stack.execute("redis", "sh", "-c", "unset REDISCLI_AUTH; redis-cli ping 2>&1 || true")
    assert "NOAUTH" in said
