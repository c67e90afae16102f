"""Regions that a deployment leaves out, on purpose or as they are down: the others change, and they follow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    left_out = deploying.left_out_by_open_run(Process(world).journal)
    assert left_out == {OTHER}
    Process(world, left_out=left_out).resume(back=back)
    assert _releases(world) == (dict.fromkeys(WAVES, world.digest(OLD)) if back else _all_but(world, OTHER))
    assert deploying.left_out_by_open_run(Process(world).journal) == frozenset()


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
    assert "the next `up`" in _said(world, "links")["links"]["left"]
    assert list(_said(world, "validate").values())[-1] == {"left": "the links were left as they are"}


@pytest.mark.parametrize("waves", [(), ((CANARY, OTHER), (PRIMARY,))])
def test_a_region_that_goes_down_while_it_is_watched_is_told_by_the_step(
    world: World, waves: tuple[tuple[str, ...], ...]
) -> None:
    world.tolerance, world.waves = 1, waves
    world.broken[(world.digest(NEW), OTHER)] = "silent"
    Process(world).up()
    assert [said["regions"] for said in _said(world, "bake").values() if "regions" in said] == [
        {OTHER: "down"}
    ]
    assert _last(world) == ("regions left behind", dict.fromkeys(WAVES, "") | {OTHER: "down"})


@pytest.mark.parametrize("primary", WAVES)
def test_replication_is_measured_where_the_links_know_the_primary(world: World, primary: str) -> None:
    """With another primary the links that stand replicate the other way until they are changed."""
    world.primaries[NEW] = primary
    Process(world).up()
    measured = {region for said in _said(world, "bake").values() for region in said["replication_seconds"]}
    assert measured == ({CANARY, OTHER} if primary == PRIMARY else set())


def test_replication_to_a_region_that_is_left_out_is_not_measured(world: World) -> None:
    Process(world, left_out=frozenset({OTHER})).up()
    measured = {region for said in _said(world, "bake").values() for region in said["replication_seconds"]}
    assert measured == {CANARY}


@pytest.mark.parametrize(
    ("home", "action", "where"),
    [(CANARY, "apply", f"{CANARY} code/-{CANARY}"), ("links", "links", "links/-links")],
)
def test_a_step_that_failed_says_where(world: World, home: str, action: str, where: str) -> None:
    world.on_failure = "stop"
    Process(world, [Fault("step", "fail", only=lambda what: what.startswith(home))]).up()
    assert [said["error"] for said in _said(world, action, "failed").values()] == [f"AccessDenied [{where}]"]


def _said(world: World, action: str, phase: str = "after") -> dict[str, dict[str, Any]]:
    """What the steps of the newest run said, by their names."""
    journal = Process(world).journal
    events = journal.events(journal.history()[0].run_id)
    return {each.step: dict(each.data) for each in events if action in each.step and each.phase == phase}
