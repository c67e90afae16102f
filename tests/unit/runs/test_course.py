"""What people are told of steps with a way back: from the fold, and with the command that goes on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from regionshift.runs.messages import News, SagaNews
from regionshift.runs.state import RunStep, fold_saga

STEPS = (RunStep("look", reversible=False), RunStep("write"), RunStep("turn"))
COURSE = SagaNews("promote", "change", ("look", "write", "turn"), "b is it", "a is it", "regionshift resume")


@dataclass(frozen=True)
class Told:
    step: str
    phase: str
    data: dict[str, Any] = field(default_factory=dict)


def _news(*fates: str) -> list[News]:
    """What is told when each attempt at a step ends as named; all that follow end well."""
    journal: list[Told] = []
    state, left = fold_saga(STEPS, journal), list(fates)
    found = [COURSE.of_start(state)]
    while (step := state.next_step) is not None and not (state.stuck and not left):
        phase = left.pop(0) if left else "after"
        journal += [
            Told(step.name, "before"),
            Told(step.name, phase, {"error": "why"} if phase == "failed" else {}),
        ]
        before, state = state, fold_saga(STEPS, journal)
        found += COURSE.of_step(before, state, step)
    return [*found, COURSE.of_end(state)]


def _short(found: list[News]) -> list[tuple[str, str]]:
    return [(news.event, news.status) for news in found]


def test_start_every_step_and_the_end_are_told() -> None:
    found = _news()
    assert _short(found) == [("promote", "started"), *[("promote", "success")] * 4]
    assert [news.counts.get("step") for news in found] == [None, 1, 2, 3, None]
    assert "b is it" in found[-1].summary


def test_what_was_measured_is_told_with_the_end() -> None:
    done = fold_saga(STEPS, [Told(step.name, phase) for step in STEPS for phase in ("before", "after")])
    assert COURSE.of_end(done, "it took 9 s").summary == "change ended: b is it; it took 9 s"


def test_a_step_that_is_not_all_done_and_one_that_was_stopped_are_no_success() -> None:
    before = fold_saga(STEPS, [Told("look", "before")])
    after = fold_saga(STEPS, [Told("look", "after", {"warning": "a role is open"})])
    done, warned = COURSE.of_step(before, after, STEPS[0])
    assert done.status == "success"
    assert (warned.status, warned.summary) == ("error", "look: a role is open")
    assert "step" not in warned.counts, "else the terminal would take it for a line of the table"
    stopped = COURSE.of_interruption(before, "write")
    assert stopped.status == "error"
    assert stopped.summary == "change was stopped at write; to continue: regionshift resume"


def test_the_last_step_may_be_told_with_the_end_alone() -> None:
    quiet = replace(COURSE, last_says_all=True)
    events = [Told(step.name, phase) for step in STEPS for phase in ("before", "after")]
    before, done = fold_saga(STEPS, events[:-1]), fold_saga(STEPS, events)
    assert quiet.of_step(before, done, STEPS[-1]) == []
    assert len(quiet.of_step(before, done, STEPS[0])) == 1


def test_a_failure_says_what_is_taken_back_and_the_end_is_no_success() -> None:
    found = _news("after", "after", "failed")
    assert _short(found)[-2:] == [("rollback", "error")] * 2
    assert found[-2].summary == "turn failed: why; rolling back write, turn"
    assert "rolled back: a is it" in found[-1].summary


def test_a_way_back_that_fails_names_the_command() -> None:
    found = _news("after", "failed", "failed")
    assert [news.summary for news in found[-2:]] == [
        "back/write failed: why",
        "change is between, and needs a person: fix the cause, then: regionshift resume",
    ]


def test_who_goes_on_says_in_which_direction() -> None:
    began = fold_saga(STEPS, [Told("write", "before")])
    back = fold_saga(STEPS, [Told("write", "before"), Told("decision", "after", {"direction": "back"})])
    assert _short([COURSE.of_start(began), COURSE.of_start(back)]) == [
        ("promote", "started"),
        ("rollback", "started"),
    ]
    assert "continues" in COURSE.of_start(began).summary
    assert "regionshift resume" in COURSE.of_failure(began, "turn", "why").summary
