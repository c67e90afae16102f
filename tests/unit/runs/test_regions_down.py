"""Regions that were found down before a deployment began: marked, left behind, and counted."""

from __future__ import annotations

from dataclasses import replace

from told import Told, fold_of

from regionshift.runs.deployment_plan import DeploymentPlan, Wave, plan_from_json
from regionshift.runs.deployment_state import (
    DOWN,
    DeploymentState,
    Direction,
    Outcome,
    RegionState,
    fold_deployment,
)

PLAN = DeploymentPlan(
    before={"a": "r1", "b": "r1", "c": "r1"},
    target={"a": "r2", "b": "r2"},
    waves=(Wave(1, ("a",)), Wave(2, ("b",))),
    failure_tolerance=1,
    down=frozenset({"c"}),
)


def _fold(*events: Told) -> DeploymentState:
    return fold_of(PLAN, *events)


def _through(state: DeploymentState, events: list[Told], **down: str) -> DeploymentState:
    while (step := state.next_step) is not None:
        said = {region: down[region] for region in step.regions if region in down}
        events += [Told(step.name, "before"), Told(step.name, "after", {"regions": said})]
        state = _fold(*events)
    return state


def test_the_plan_is_kept_with_them_and_older_plans_have_none() -> None:
    content = PLAN.to_json()
    assert plan_from_json(content) == PLAN
    del content["down"]
    assert plan_from_json(content).down == frozenset()


def test_they_are_marked_left_behind_and_in_no_step() -> None:
    state = _fold()
    assert (state.regions["c"].release, state.regions["c"].settled) == ("r1", False)
    assert all("c" not in step.regions for step in state.steps)
    state = _through(state, [])
    assert state.verdict is Outcome.PARTLY
    assert state.said_per_region() == {"a": "updated", "b": "updated", "c": DOWN}


def test_they_count_when_another_goes_down() -> None:
    state = _through(_fold(), [], a=DOWN)
    assert state.direction is Direction.BACK
    assert any("more regions are down" in why for why in state.failed.values())


def test_one_of_another_wave_may_be_found_down_and_follow_in_its_own() -> None:
    events = [
        Told("wave-1/apply", "before"),
        Told("wave-1/apply", "after"),
        Told("wave-1/bake", "before"),
        Told("wave-1/bake", "after", {"regions": {"b": DOWN}}),
    ]
    plan = replace(PLAN, down=frozenset())
    state = fold_deployment([Told("run", "before", {"plan": plan.to_json()}), *events])
    assert state.regions["b"].note == DOWN
    assert state.direction is Direction.FORWARD
    events += [Told("wave-2/apply", "before"), Told("wave-2/apply", "after")]
    state = fold_deployment([Told("run", "before", {"plan": plan.to_json()}), *events])
    assert state.regions["b"] == RegionState("r2")
