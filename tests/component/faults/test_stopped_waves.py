"""What is killed, interrupted or robbed of its lock in a wave, and gone on with or taken back afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fault_process import Process, in_region, require
from fault_world import CANARY, NEW, OLD, PRIMARY, World
from model_regions import Crash, Fault

from regionshift.errors import Interrupted, Refused
from regionshift.journal.lock import LockLost
from regionshift.journal.store import StateUnreachable

pytestmark = pytest.mark.component
# One case of each class of fault stays in `make test`; test_fault_points.py has all places over made-up regions.
more = pytest.mark.thorough
PROJECT = "stopped"
WAVES = (CANARY, PRIMARY)


@pytest.fixture
def world(standing: World) -> Iterator[World]:
    """Both regions at the old release; the settings describe the new one."""
    standing.want(NEW)
    yield standing


def stop(world: World, fault: Fault, error: type[BaseException]) -> None:
    """Begin the change and have it end by ``fault``, with a run that is open."""
    with pytest.raises(error), Process(world, fault) as process:
        process.up()
    assert fault.happened
    with pytest.raises(Refused), Process(world) as process:
        process.up()


def require_finished(world: World) -> None:
    """`resume` brings every region to the new release; `rollback` back to the old one."""
    with Process(world) as process:
        process.resume()
        assert process.deployment.outcome == "succeeded", process.deployment.failed
    require(world, NEW, NEW)
    with Process(world) as process:
        process.rollback()
        assert process.deployment.outcome == "succeeded", process.deployment.failed
        assert process.drift() == []
    require(world, OLD, OLD)


def require_taken_back(world: World, wave: int) -> None:
    """`resume --back` brings every region that was reached to the old release."""
    with Process(world) as process:
        process.resume(back=True)
        assert process.deployment.outcome == "rolled back", process.deployment.failed
        said = [process.deployment.said_per_region()[region] for region in WAVES]
        assert said == ["rolled back"] * wave + ["unchanged"] * (2 - wave)
    require(world, OLD, OLD)


@pytest.mark.parametrize(
    ("wave", "op", "at"),
    [
        (2, "update", 1),
        *[
            pytest.param(*case, marks=more)
            for case in [(1, "create", 2), (1, "update", 1), (1, "delete", 1), (2, "create", 1)]
        ],
    ],
)
def test_killed_in_a_wave_it_is_taken_back_by_resume(world: World, op: str, at: int, wave: int) -> None:
    stop(world, in_region(op, WAVES[wave - 1], "killed", at), Crash)
    require_taken_back(world, wave)


@more
def test_killed_between_the_regions_it_is_taken_back_by_resume(world: World) -> None:
    alarm = f"update replication-latency-alarm-{WAVES[0]}"
    stop(world, Fault("aws", "killed", only=lambda what: what == alarm), Crash)
    require_taken_back(world, 2)


@more  # e2e/test_waves.py finishes a killed one in `make test`
@pytest.mark.parametrize(("wave", "op"), [(1, "create"), (2, "delete")])
def test_killed_in_a_wave_it_is_finished_by_resume(world: World, op: str, wave: int) -> None:
    stop(world, in_region(op, WAVES[wave - 1], "killed"), Crash)
    require_finished(world)


@pytest.mark.parametrize(("wave", "op"), [(1, "delete"), pytest.param(2, "create", marks=more)])
def test_an_engine_that_is_killed_alone_fails_the_wave(world: World, op: str, wave: int) -> None:
    fault = in_region(op, WAVES[wave - 1], "engine killed")
    with Process(world, fault) as process:
        process.up()
        assert process.deployment.outcome == "rolled back", process.deployment.failed
        assert "it was killed" in process.deployment.failed[f"wave-{wave}/apply"]
    assert fault.happened
    require(world, OLD, OLD)


@more
@pytest.mark.parametrize(("wave", "how"), [(1, "lost before"), (2, "lost after")])
def test_without_its_journal_it_stops_and_is_taken_back(world: World, how: str, wave: int) -> None:
    stop(world, Fault("write", how, only=lambda what: what == f"wave-{wave}/apply after"), StateUnreachable)
    require_taken_back(world, wave)


@more
@pytest.mark.parametrize("wave", [1, 2])
def test_robbed_of_its_lock_it_stops_and_is_taken_back(world: World, wave: int) -> None:
    stop(world, in_region("update", WAVES[wave - 1], "robbed"), LockLost)
    require_taken_back(world, wave)


@pytest.mark.parametrize("wave", [1, pytest.param(2, marks=more)])
def test_interrupted_it_stops_and_is_taken_back(world: World, wave: int) -> None:
    stop(world, in_region("create", WAVES[wave - 1], "interrupt"), Interrupted)
    require_taken_back(world, wave)


def test_after_all_of_it_nothing_is_other_than_the_release_says(world: World) -> None:
    with Process(world) as process:
        assert process.drift() == []
