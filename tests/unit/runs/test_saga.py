"""Wherever a run fails or is killed, it ends with all of its steps done or with none: never between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from regionshift.operations.moving.promotion_plan import PromotionPlan
from regionshift.runs.state import Ending, RunStep, SagaState, fold_saga
from regionshift.settings.editing import Edit

PLANS = [
    PromotionPlan(
        "a",
        "b",
        ("c",),
        {"a": "1", "b": "1", "c": "1"},
        "1",
        "2",
        Edit(replacements=(), digest_before="", digest_after=""),
        lost=lost,
    )
    for lost in (False, True)
]


@dataclass(frozen=True)
class Told:
    step: str
    phase: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass
class World:
    """What steps change: the effects that stand. A killed step may or may not have had its effect."""

    effects: set[str] = field(default_factory=set)

    def do(self, step: RunStep) -> None:
        if not step.back:
            self.effects.add(step.name)
        else:
            self.effects.discard(step.name.removeprefix("back/"))


FATES = st.sampled_from(
    ["done", "done", "done", "failed before", "failed after", "killed before", "killed after"]
)


def _run(plan: PromotionPlan, fates: list[str], asked_back: set[int]) -> tuple[SagaState, World]:
    """Every fate befalls one attempt at a step; when they are used up everything goes well."""
    journal: list[Told] = []
    world = World()
    attempts = 0
    while (step := (state := fold_saga(plan.steps, journal)).next_step) is not None:
        if attempts in asked_back:
            journal.append(Told("decision", "after", {"direction": "back"}))
            asked_back = asked_back - {attempts}
            continue
        fate = fates[attempts] if attempts < len(fates) else "done"
        attempts += 1
        journal.append(Told(step.name, "before"))
        if fate in ("done", "failed after", "killed after"):
            world.do(step)
        if fate == "done":
            journal.append(Told(step.name, "after"))
        elif fate.startswith("failed"):
            journal.append(Told(step.name, "failed", {"error": "why"}))
        assert attempts < 100, "it has to end"
    return state, world


@given(st.sampled_from(PLANS), st.lists(FATES, max_size=20), st.sets(st.integers(0, 20), max_size=2))
def test_a_run_ends_at_the_new_or_at_the_old(plan: PromotionPlan, fates: list[str], back: set[int]) -> None:
    state, world = _run(plan, fates, back)
    reversible = {step.name for step in plan.steps if step.reversible}
    standing = world.effects & reversible
    if state.ending is Ending.DONE:
        assert standing == reversible
        assert state.plan and not state.backward
    else:
        assert state.ending is Ending.TAKEN_BACK
        assert standing == set()


@given(st.sampled_from(PLANS), st.integers(0, 6))
def test_a_failed_step_takes_back_all_that_began_in_reverse_order(plan: PromotionPlan, failing: int) -> None:
    names = [step.name for step in plan.steps]
    failing = min(failing, len(names) - 1)
    journal = [Told(name, phase) for name in names[:failing] for phase in ("before", "after")]
    journal += [Told(names[failing], "before"), Told(names[failing], "failed", {"error": "why"})]
    state = fold_saga(plan.steps, journal)
    began = [step.name for step in plan.steps[: failing + 1] if step.reversible]
    assert [step.name for step in state.steps] == [f"back/{name}" for name in reversed(began)]


def test_a_way_back_that_failed_is_stuck_and_tried_again() -> None:
    plan = PLANS[0]
    journal = [
        Told("validate", "before"),
        Told("validate", "after"),
        Told("last-copy", "before"),
        Told("last-copy", "failed", {"error": "no"}),
        Told("back/last-copy", "before"),
        Told("back/last-copy", "failed", {"error": "no"}),
    ]
    stuck = fold_saga(plan.steps, journal)
    assert stuck.ending is Ending.STUCK
    assert stuck.next_step is not None
    again = fold_saga(
        plan.steps, [*journal, Told("back/last-copy", "before"), Told("back/last-copy", "after")]
    )
    assert again.ending is Ending.TAKEN_BACK


def test_what_is_all_done_is_not_turned_back() -> None:
    plan = PLANS[0]
    journal = [Told(step.name, phase) for step in plan.steps for phase in ("before", "after")]
    state = fold_saga(plan.steps, [*journal, Told("decision", "after", {"direction": "back"})])
    assert state.ending is Ending.DONE


def test_a_closed_run_has_nothing_left_whatever_its_steps_say() -> None:
    plan = PLANS[0]
    failed = [Told("validate", "before"), Told("validate", "failed")]
    for closing, outcome in [
        (Told("run", "failed", {"outcome": "rolled back"}), "rolled back"),
        (Told("run", "after", {"outcome": "promoted"}), "promoted"),
        (Told("run", "failed"), "failed"),
    ]:
        state = fold_saga(plan.steps, [*failed, closing, Told("run", "after", {"outcome": "another"})])
        assert (state.outcome, state.next_step, state.stuck) == (outcome, None, False)
    state = fold_saga(plan.steps, [Told("run", "before"), *failed])
    assert (state.outcome, state.failed, state.backward) == (None, {"validate": "failed"}, True)


def test_a_step_that_may_be_half_done_is_in_doubt_until_it_ends_and_so_is_its_way_back() -> None:
    plan = (RunStep("look", reversible=False), RunStep("write"), RunStep("turn"))

    def in_doubt(*events: Told) -> tuple[str, bool]:
        state = fold_saga(plan, events)
        return state.next_step.name if state.next_step else "", state.in_doubt

    looked = (Told("look", "before"), Told("look", "after"))
    wrote = (*looked, Told("write", "before"), Told("write", "after", {"rows": 1}))
    turned = (*wrote, Told("turn", "before"), Told("turn", "failed", {"error": "why"}))
    assert in_doubt() == ("look", False)
    assert in_doubt(Told("look", "before")) == ("look", True)
    assert in_doubt(*wrote) == ("turn", False)
    assert in_doubt(*turned) == ("back/turn", True), "it failed half way"
    back = (*turned, Told("back/turn", "before"), Told("back/turn", "after"))
    assert in_doubt(*back) == ("back/write", False), "it was done whole"
    assert in_doubt(*back, Told("back/write", "before")) == ("back/write", True)
    done = (*back, Told("back/write", "before"), Told("back/write", "after"))
    assert in_doubt(*done) == ("", False)
    assert fold_saga(plan, done).said["write"] == {"rows": 1}
