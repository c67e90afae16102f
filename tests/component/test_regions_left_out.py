"""Regions that a deployment leaves out, on purpose or as they are down: the others change, and they follow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from deployment_world import Process, disagreements, model
from model_regions import CANARY, OTHER, PRIMARY, WAVES, Crash, Fault, World

from regionshift.operations.waves import deploying

pytestmark = pytest.mark.component
__all__ = ["model"]
OLD, NEW = 0, 1
Use = Callable[[World], World]


@pytest.fixture
def world(tmp_path: Path, model: Use) -> World:
    """Three regions that are up at the old release; the settings describe the new one."""
    world = model(World(tmp_path / "world", {}, wanted=OLD))
    Process(world).up()
    world.wanted = NEW
    return world


def _releases(world: World) -> dict[str, str | None]:
    return {region: world.runs(region) for region in WAVES}


def _all_but(world: World, region: str) -> dict[str, str | None]:
    return {each: world.digest(OLD if each == region else NEW) for each in WAVES}


def _last(world: World) -> tuple[str | None, dict[str, str]]:
    (run, *_) = Process(world).journal.history()
    regions = run.result["regions"]
    assert isinstance(regions, dict)
    return run.outcome, {region: state["note"] for region, state in regions.items()}


@pytest.mark.parametrize("region", WAVES)
def test_the_others_change_and_the_next_up_brings_it_there(world: World, region: str) -> None:
    world.down = {region}  # a call to it would fail
    Process(world, left_out=frozenset({region})).up()
    assert _releases(world) == _all_but(world, region)
    assert world.parts("links") == {"links": world.digest(OLD)}
    assert _last(world) == ("succeeded", dict.fromkeys(WAVES, ""))
    assert disagreements(world) == []

    world.down = set()
    Process(world).up()
    assert set(_releases(world).values()) == {world.digest(NEW)}
    assert world.parts("links") == {"links": world.digest(NEW)}


@pytest.mark.parametrize("region", WAVES)
def test_what_is_down_is_marked_until_it_follows(world: World, region: str) -> None:
    world.down, world.tolerance = {region}, 1
    Process(world, left_out=frozenset({region})).up(down={region})
    assert _releases(world) == _all_but(world, region)
    assert _last(world) == ("regions left behind", dict.fromkeys(WAVES, "") | {region: "down"})
    assert Process(world).deployed.unsettled == {region}

    world.down = set()
    Process(world).up()
    assert set(_releases(world).values()) == {world.digest(NEW)}
    assert _last(world) == ("succeeded", dict.fromkeys(WAVES, ""))


@pytest.mark.parametrize("back", [False, True])
def test_who_resumes_leaves_it_out_too(world: World, back: bool) -> None:
    world.down = {OTHER}
    dying = Process(
        world,
        [Fault("step", "crash after", only=lambda what: what.startswith(PRIMARY))],
        left_out=frozenset({OTHER}),
    )
    with pytest.raises(Crash):
        dying.up()
    left_out = deploying.left_out(Process(world).journal)
    assert left_out == {OTHER}
    Process(world, left_out=left_out).resume(back=back)
    assert _releases(world) == (dict.fromkeys(WAVES, world.digest(OLD)) if back else _all_but(world, OTHER))
    assert deploying.left_out(Process(world).journal) == frozenset()


def test_a_finished_deployment_is_taken_back_without_it(world: World) -> None:
    world.down = {OTHER}
    Process(world, left_out=frozenset({OTHER})).up()
    left_out = deploying.left_out_by(Process(world).journal, None)
    assert left_out == {OTHER}
    Process(world, left_out=left_out).rollback()
    assert set(_releases(world).values()) == {world.digest(OLD)}
    assert disagreements(world) == []


def test_on_the_way_back_the_regions_that_answer_go_back(world: World) -> None:
    world.waves = ((CANARY, OTHER), (PRIMARY,))
    world.broken[(world.digest(NEW), PRIMARY)] = "validate"
    process = Process(world)

    def goes_down(what: str) -> bool:
        if what.startswith(PRIMARY):
            world.down = {OTHER}
        return False

    process.faults = [Fault("step", "fail", only=goes_down)]
    process.up()
    old, new = world.digest(OLD), world.digest(NEW)
    assert _releases(world) == {CANARY: old, OTHER: new, PRIMARY: old}
    outcome, notes = _last(world)
    assert outcome == "needs a person"
    assert notes[OTHER].startswith("needs a person: it is down")
    assert (notes[CANARY], notes[PRIMARY]) == ("", "")


def test_a_region_that_goes_down_on_the_way_gets_no_more_calls(world: World) -> None:
    world.tolerance = 1
    world.down = {CANARY}
    Process(world).up()  # it answered when it was asked before the change
    assert _releases(world) == _all_but(world, CANARY)
    assert _last(world) == ("regions left behind", dict.fromkeys(WAVES, "") | {CANARY: "down"})
