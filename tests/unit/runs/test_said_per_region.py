"""A step that fails tells its regions apart where it can, and names those that it should not have touched."""

from __future__ import annotations

from dataclasses import replace

from told import Told, fold_of

from regionshift.runs.deployment_plan import DeploymentPlan, Wave
from regionshift.runs.deployment_state import (
    DONE,
    DOWN,
    STRAYED,
    UNCHANGED,
    DeploymentState,
    Direction,
    Outcome,
)

PLAN = DeploymentPlan(
    before={"a": "r1", "b": "r1", "c": "r1"},
    target={"a": "r2", "b": "r2", "c": "r2"},
    waves=(Wave(1, ("a", "b")), Wave(2, ("c",))),
)


def _fold(*events: Told) -> DeploymentState:
    return fold_of(PLAN, *events)


def _failed(step: str, **regions: str) -> list[Told]:
    return [Told(step, "before"), Told(step, "failed", {"error": "boom", "regions": regions})]


def test_a_check_that_fails_on_the_way_back_leaves_its_own_regions_to_a_person() -> None:
    events = _failed("wave-1/apply")
    events += [Told("back/wave-1/apply", "before"), Told("back/wave-1/apply", "after")]
    events += _failed("back/wave-1/validate", b=DONE)
    state = _fold(*events)
    assert state.next_step is None
    assert state.verdict is Outcome.NEEDS_PERSON
    assert state.said_per_region() == {"a": "needs a person: boom", "b": "rolled back", "c": "unchanged"}


def test_an_engine_run_that_fails_on_the_way_back_leaves_all_of_its_regions_to_a_person() -> None:
    state = _fold(*_failed("wave-1/apply"), *_failed("back/wave-1/apply", b=DONE))
    said = state.said_per_region()
    assert said["a"] == said["b"] == "needs a person: boom"
    assert not state.regions["b"].settled


def test_what_strayed_outside_of_the_wave_is_between_two_releases() -> None:
    events = _failed("wave-1/apply", c=STRAYED)
    for step in ("back/wave-1/apply", "back/wave-1/validate"):
        events += [Told(step, "before"), Told(step, "after")]
    state = _fold(*events)
    assert state.verdict is Outcome.NEEDS_PERSON
    assert state.said_per_region() == {"a": "rolled back", "b": "rolled back", "c": STRAYED}
    assert not state.regions["c"].settled


def test_a_note_of_a_region_stays_when_a_check_of_another_fails() -> None:
    down = "needs a person: it is down and was not taken back"
    events = _failed("wave-1/apply")
    events += [
        Told("back/wave-1/apply", "before"),
        Told("back/wave-1/apply", "after", {"regions": {"a": down}}),
    ]
    events += _failed("back/wave-1/validate")
    assert _fold(*events).said_per_region() == {"a": down, "b": "needs a person: boom", "c": "unchanged"}


def test_what_strayed_from_the_links_is_between_two_releases_too() -> None:
    events: list[Told] = []
    while (step := _fold(*events).next_step) is not None and step.action != "links":
        events += [Told(step.name, "before"), Told(step.name, "after")]
    events += _failed("links", c=STRAYED)
    state = _fold(*events)
    assert not state.regions["c"].settled
    assert state.said_per_region()["c"] == STRAYED


def test_a_region_left_to_a_person_on_the_way_forward_leaves_the_deployment_short_of_success() -> None:
    events: list[Told] = []
    while (step := _fold(*events).next_step) is not None:
        said = {"regions": {"a": "needs a person: it does not answer"}} if step.name == "wave-1/apply" else {}
        events += [Told(step.name, "before"), Told(step.name, "after", said)]
    state = _fold(*events)
    assert state.direction is Direction.FORWARD
    assert state.verdict is Outcome.PARTLY


def test_what_was_between_two_releases_is_not_whole_for_a_step_that_did_not_touch_it() -> None:
    plan = replace(PLAN, unsettled=frozenset({"a"}))
    state = fold_of(plan, *_failed("wave-1/apply", a=UNCHANGED, b=UNCHANGED))
    assert state.whole == {"b"}
    assert {region for region, found in state.regions.items() if found.settled} == {"b", "c"}
    assert state.changed == {"a"}


def test_what_an_attempt_that_was_killed_may_have_changed_is_not_whole_for_the_next() -> None:
    killed = Told("wave-1/apply", "before")
    state = _fold(killed, *_failed("wave-1/apply", a=UNCHANGED, b=UNCHANGED))
    assert state.whole == set()
    assert not state.regions["a"].settled and not state.regions["b"].settled
    assert state.changed == {"a", "b"}


def test_a_step_is_in_doubt_once_it_began_and_an_approval_that_began_waits() -> None:
    plan = DeploymentPlan({"a": "r1"}, {"a": "r2"}, (Wave(1, ("a",), approve=True),))
    seen, events = [], []
    while (step := fold_of(plan, *events).next_step) is not None:
        fresh = fold_of(plan, *events)
        assert (fresh.in_doubt, fresh.waits) == (False, False)
        events.append(Told(step.name, "before"))
        begun = fold_of(plan, *events)
        assert (begun.in_doubt, begun.waits) == (True, step.action == "approve")
        events.append(Told(step.name, "after"))
        seen.append(step.action)
    ended = fold_of(plan, *events)
    assert "approve" in seen
    assert (ended.in_doubt, ended.waits) == (False, False)


def test_no_region_may_be_down_unless_the_plan_says_so() -> None:
    plan = DeploymentPlan({"a": "r1", "b": "r1"}, {"a": "r2", "b": "r2"}, (Wave(1, ("a",)), Wave(2, ("b",))))
    step = fold_of(plan).next_step
    assert step is not None
    down = fold_of(plan, Told(step.name, "before"), Told(step.name, "after", {"regions": {"a": DOWN}}))
    assert down.direction is Direction.BACK
