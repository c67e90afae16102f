"""What fails in a wave, with the real engine over AWS: the deployment goes back, or stops, and AWS agrees."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from broken_artifact import BREAKS_AT_ONCE, BREAKS_LATER
from fault_process import Process, in_region, require
from fault_world import CANARY, NEW, OLD, PRIMARY, World, expected
from model_regions import Fault

pytestmark = pytest.mark.component
# One case of each class of fault stays in `make test`; test_fault_points.py has all places over made-up regions.
more = pytest.mark.thorough
PROJECT = "failing"
WAVES = (CANARY, PRIMARY)
BACK, UNTOUCHED = "rolled back", "unchanged"


@pytest.fixture
def world(standing: World) -> Iterator[World]:
    """Both regions at the old release; the settings describe the new one."""
    standing.want(NEW)
    yield standing
    for region in WAVES:
        standing.set_alarm(region, "OK")


def requires_it_went_back(world: World, wave: int, *faults: Fault) -> None:
    with Process(world, *faults) as process:
        process.up()
        deployment = process.deployment
    assert all(fault.happened for fault in faults)
    assert deployment.outcome == BACK, deployment.failed
    said = [deployment.said_per_region()[region] for region in WAVES]
    assert said == [BACK] * wave + [UNTOUCHED] * (2 - wave)
    require(world, OLD, OLD)


@pytest.mark.parametrize(
    ("op", "wave"),
    [
        ("update", 2),
        *[
            pytest.param(*case, marks=more)
            for case in [("create", 1), ("create", 2), ("update", 1), ("delete", 1)]
        ],
    ],
)
def test_what_aws_refuses_in_a_wave_takes_back_what_was_reached(world: World, op: str, wave: int) -> None:
    requires_it_went_back(world, wave, in_region(op, WAVES[wave - 1], "refused"))


@pytest.mark.parametrize(
    ("op", "how", "wave"),
    [
        pytest.param("finish", "refused", 1, marks=more),
        pytest.param("create", "lost", 1, marks=more),
        ("update", "lost", 2),
        pytest.param("delete", "lost", 1, marks=more),
    ],
    ids=["made and not finished", "made, answer lost", "changed, answer lost", "deleted, answer lost"],
)
def test_what_aws_did_half_is_taken_back_too(world: World, op: str, how: str, wave: int) -> None:
    requires_it_went_back(world, wave, in_region(op, WAVES[wave - 1], how))


@more
def test_what_fails_between_the_regions_takes_all_of_them_back(world: World) -> None:
    alarm = f"update replication-latency-alarm-{WAVES[0]}"
    requires_it_went_back(world, 2, Fault("aws", "lost", only=lambda what: what == alarm))


@pytest.mark.parametrize("wave", [pytest.param(1, marks=more), 2])
def test_an_alarm_that_goes_red_takes_back_what_was_reached(world: World, wave: int) -> None:
    requires_it_went_back(
        world, wave, Fault("write", "alarm", only=lambda what: what == f"wave-{wave}/bake before")
    )


def stops(world: World, wave: int, fault: Fault) -> None:
    """The change fails and stays where it is: finished before that wave, between two releases in it."""
    world.want(NEW, on_failure="stop")
    with Process(world, fault) as process:
        process.up()
        deployment = process.deployment
    assert fault.happened
    assert deployment.outcome == "stopped"
    said = [deployment.said_per_region()[region] for region in WAVES]
    assert said == ["updated"] * (wave - 1) + ["unfinished"] + [UNTOUCHED] * (2 - wave)
    for region in WAVES[: wave - 1]:
        assert world.runs(region) == expected(world.release(NEW))
    for region in WAVES[wave:]:
        assert world.runs(region) == expected(world.release(OLD))


@more
def test_what_was_stopped_is_undone_by_the_settings_of_before(world: World) -> None:
    stops(world, 1, in_region("update", WAVES[0], "lost"))
    world.want(OLD)
    with Process(world) as process:
        process.up()
    require(world, OLD, OLD)


def test_what_was_stopped_is_taken_back_by_hand(world: World) -> None:
    stops(world, 2, in_region("delete", WAVES[1], "lost"))
    with Process(world) as process:
        process.rollback()
        assert process.deployment.outcome == "succeeded", process.deployment.failed
    require(world, OLD, OLD)


@more
def test_what_was_stopped_is_finished_by_the_next_up_and_taken_back_by_hand(world: World) -> None:
    stops(world, 2, in_region("finish", WAVES[1], "refused"))
    with Process(world) as process:
        stopped = process.newest
        process.up()
        assert process.deployment.outcome == "succeeded", process.deployment.failed
    require(world, NEW, NEW)
    # Each deployment takes back what it changed itself: the newest the last wave, the one before it the others.
    with Process(world) as process:
        process.rollback()
    require(world, NEW, OLD)
    with Process(world) as process:
        process.rollback(stopped)
    require(world, OLD, OLD)


# Last, as on AWS: what breaks the function leaves its error alarm red for five minutes, and only what is in a row
# with it may pass that.


@pytest.mark.parametrize("wave", [1, pytest.param(2, marks=more)])
def test_a_release_that_is_wrong_in_one_region_is_found_by_the_checks(world: World, wave: int) -> None:
    world.want(NEW, world.broken(BREAKS_AT_ONCE, WAVES[wave - 1]))
    requires_it_went_back(world, wave)


@more
@pytest.mark.parametrize("wave", [1, 2])
def test_a_release_that_breaks_later_is_found_by_the_probes(world: World, wave: int) -> None:
    code = world.broken(BREAKS_LATER, WAVES[wave - 1])
    world.want(NEW, code, bake="1s", bake_min_samples=3)
    requires_it_went_back(world, wave)


def test_after_all_of_it_nothing_is_other_than_the_release_says(world: World) -> None:
    with Process(world) as process:
        assert process.drift() == []
