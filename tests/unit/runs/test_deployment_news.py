"""What people are told of a deployment in waves, each message whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
from told import Told, fold_of

from regionshift.runs.deployment_plan import DeploymentPlan, Wave
from regionshift.runs.deployment_state import DOWN
from regionshift.runs.messages import AllRegionsNews, DeploymentNews, News
from regionshift.runs.state import SagaState

PLAN = DeploymentPlan(
    before={"a": "r1", "b": "r1", "c": "r1"},
    target={"a": "r2", "b": "r2", "c": "r2"},
    waves=(Wave(1, ("a",)), Wave(3, ("b", "c"), approve=True)),
    failure_tolerance=1,
)
COUNTS = {"regions": 3, "waves": 3}  # the last wave's number: the second has nothing to do


def _told(plan: DeploymentPlan, fates: dict[str, dict[str, object]], kind: str = "deployment") -> list[News]:
    """Everything from the start to the end; ``fates`` says what is known at a step's end, ``error`` that it failed."""
    events: list[Told] = []
    news = DeploymentNews(kind)
    found = [news.of_start(fold_of(plan))]
    while (step := fold_of(plan, *events).next_step) is not None:
        before = fold_of(plan, *events)
        data = fates.get(step.name, {})
        events += [Told(step.name, "before"), Told(step.name, "failed" if "error" in data else "after", data)]
        found += news.of_step(before, fold_of(plan, *events), step)
    return [*found, news.of_end(fold_of(plan, *events))]


def test_a_deployment_that_succeeds() -> None:
    assert _told(PLAN, {}) == [
        News("deploy", "started", "deployment began: a, then b and c", COUNTS),
        News("deploy", "success", "wave 1 of 3 is done: a", {"wave": 1, **COUNTS}),
        News("deploy", "success", "wave 3 of 3 is done: b, c", {"wave": 3, **COUNTS}),
        News("deploy", "success", "deployment ended, succeeded: a updated, b updated, c updated", COUNTS),
    ]


def test_a_region_that_is_down_is_left_behind() -> None:
    told = _told(PLAN, {"wave-3/apply": {"regions": {"b": DOWN}}})
    assert told[2:] == [
        News("deploy", "error", "wave 3 of 3 is done: c; left behind: b", {"wave": 3, **COUNTS}),
        News(
            "deploy",
            "error",
            "deployment ended, regions left behind: a updated, b down, c updated",
            COUNTS,
        ),
    ]


@pytest.mark.parametrize(
    ("fails", "turn"),
    [("wave-3/apply", "a, b, c"), ("wave-1/validate", "a")],
)
def test_a_step_that_fails_is_taken_back(fails: str, turn: str) -> None:
    told = _told(PLAN, {fails: {"error": "boom"}})
    (failed,) = (one for one in told if "failed" in one.summary)
    assert failed == News("rollback", "error", f"{fails} failed: boom; rolling back {turn}")
    said = ", ".join(f"{one} {'rolled back' if one in turn else 'unchanged'}" for one in "abc")
    assert told[-1] == News("rollback", "error", f"deployment ended, rolled back: {said}", COUNTS)


def test_a_failure_stops_where_the_plan_says_so() -> None:
    told = _told(replace(PLAN, on_failure="stop"), {"wave-1/validate": {"error": "boom"}})
    assert told[1:] == [
        News("deploy", "error", "wave-1/validate failed: boom; stopped there"),
        News("deploy", "error", "deployment ended, stopped: a updated, b unchanged, c unchanged", COUNTS),
    ]


def test_a_rollback_by_hand_is_told_as_one() -> None:
    told = _told(PLAN, {}, "rollback")
    assert {one.event for one in told} == {"rollback"}
    assert told[0].summary == "rollback began: a, then b and c"
    assert told[-1].summary == "rollback ended, succeeded: a rolled back, b rolled back, c rolled back"


def test_whoever_is_to_approve_is_told_what_to_run() -> None:
    events: list[Told] = []
    while (step := fold_of(PLAN, *events).next_step) is not None and step.action != "approve":
        events += [Told(step.name, "before"), Told(step.name, "after")]
    assert step is not None
    assert DeploymentNews("deployment").of_waiting(fold_of(PLAN, *events), step) == News(
        "deploy", "started", "wave 3 (b, c) waits for a person: regionshift resume", COUNTS
    )


def test_all_regions_in_one_go() -> None:
    go, counts = AllRegionsNews("destroy", "destroy", ("a", "b"), 7), {"regions": 2, "changes": 7}
    state = SagaState(())
    failure, stop = go.of_failure(state, "apply", "it broke."), go.of_interruption(state, "apply")
    assert [go.of_start(state), go.of_end(state), failure, stop] == [
        News("destroy", "started", "destroy began: 7 resources in a, b, in one go", counts),
        News("destroy", "success", "destroy ended, succeeded: a, b", counts),
        News("destroy", "error", "destroy failed: it broke; what was done stays", counts),
        News(
            "destroy",
            "error",
            "destroy was stopped; what was done stays: regionshift resume continues it",
            counts,
        ),
    ]
    unknown = AllRegionsNews("deploy", "deployment", (), 0)
    assert unknown.of_start(state).summary == "deployment began: 0 resources, in one go"
    assert unknown.of_end(state).summary == "deployment ended, succeeded"
