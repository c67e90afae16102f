"""A newer program would change every region: the engine holds it to the wave, and the guard to what the engine does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fault_process import Process, require
from fault_world import CANARY, NEW, OLD, OTHER, PRIMARY, WAVES, World, expected
from model_regions import Fault

from regionshift.operations.planning import targets_of
from regionshift.operations.waves import applier
from regionshift.runs.deployment_state import STRAYED

pytestmark = pytest.mark.component
PROJECT = "outside"
NEWER = "a newer program"


@pytest.fixture
def world(standing: World) -> Iterator[World]:
    """The three regions at the old release; the settings describe the new one, and so does a newer program."""
    standing.want(NEW, on_failure="stop")
    yield standing
    if all(standing.runs(region) == expected(standing.release(OLD)) for region in WAVES):
        return
    standing.want(OLD)
    with Process(standing) as process:
        process.up()
    require(standing, OLD, OLD, OLD)


@pytest.mark.thorough
def test_a_newer_program_changes_the_wave_alone(world: World) -> None:
    red = Fault("write", "alarm", only=lambda what: what == "wave-1/bake before")
    with Process(world, red, program=NEWER) as process:
        process.up()
        assert process.deployment.outcome == "stopped", process.deployment.failed
    world.set_alarm(CANARY, "OK")
    assert world.runs(CANARY) == expected(world.release(NEW))
    for region in (OTHER, PRIMARY):
        assert world.runs(region) == expected(world.release(OLD))


def test_a_change_outside_of_the_wave_is_stopped_and_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applier, "targets_of", lambda _: targets_of(WAVES))
    with Process(world, program=NEWER) as process:
        process.up()
        deployment = process.deployment
        found = process.deployed
    assert deployment.outcome == "stopped"
    assert "outside this wave; it was stopped" in deployment.failed["wave-1/apply"]
    said = deployment.said_per_region()
    strayed = {region for region in (OTHER, PRIMARY) if said[region] == STRAYED}
    assert strayed, said
    # The engine starts at once what does not depend on anything; it is stopped at the first sign of it.
    for region in strayed:
        assert not found.regions[region].settled
    monkeypatch.undo()
    with Process(world) as process:
        process.up()
        assert process.deployment.outcome == "succeeded", process.deployment.failed
    require(world, NEW, NEW, NEW)


@pytest.mark.thorough
def test_what_fails_in_the_middle_goes_back_and_the_last_was_never_reached(world: World) -> None:
    world.want(NEW)
    with Process(world, Fault("write", "alarm", only=lambda what: what == "wave-2/bake before")) as process:
        process.up()
        said = process.deployment.said_per_region()
    world.set_alarm(OTHER, "OK")
    assert said == {CANARY: "rolled back", OTHER: "rolled back", PRIMARY: "unchanged"}
    require(world, OLD, OLD, OLD)


def test_three_waves_and_the_links_after_them_are_four_engine_runs_and_a_preview(world: World) -> None:
    with Process(world) as process:
        process.up()
        assert process.deployment.outcome == "succeeded", process.deployment.failed
        assert process.engine_runs == {"preview": 1, "up": 4}
    with Process(world) as process:
        process.rollback()
        assert process.engine_runs == {"preview": 1, "up": 4}
    require(world, OLD, OLD, OLD)
