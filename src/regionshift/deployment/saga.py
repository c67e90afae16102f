"""A run whose steps each have a way back: it ends with all of them done, or with none. Pure.

The fold reads the journal's events. A step that began and never ended is done again; each step and each way
back must bear that. A step that failed turns the run around: every step that began is taken back in reverse
order. A way back that failed leaves the run open, so that it is tried again: a closed run is never between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from regionshift.journal.events import DECISION

_BACK = "back/"


class SagaEvent(Protocol):
    """What is read of an event; the journal's events have it."""

    @property
    def step(self) -> str: ...
    @property
    def phase(self) -> str: ...
    @property
    def data(self) -> Mapping[str, object]: ...


class Ending(StrEnum):
    """How a run ends; only ``done`` is a success. ``stuck`` is no end: a way back failed, and is tried again."""

    DONE = "done"
    TAKEN_BACK = "taken back"
    STUCK = "needs a person"


@dataclass(frozen=True)
class SagaStep:
    """One step: what the journal calls it, and whether there is something to take back."""

    name: str
    reversible: bool = True
    back: bool = False


@dataclass
class SagaState:
    """Where a run stands. Read it; only :func:`fold_saga` writes it."""

    plan: tuple[SagaStep, ...]
    backward: bool = False
    began: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    said: dict[str, Mapping[str, object]] = field(default_factory=dict)
    outcome: str | None = None

    @property
    def steps(self) -> tuple[SagaStep, ...]:
        """The steps of the present direction, the finished ones included."""
        if not self.backward:
            return self.plan
        return tuple(
            SagaStep(_BACK + step.name, step.reversible, back=True)
            for step in reversed(self.plan)
            if step.reversible and step.name in self.began
        )

    @property
    def next_step(self) -> SagaStep | None:
        """What is to be done now; None when nothing is left."""
        if self.outcome is not None:
            return None
        return next((step for step in self.steps if step.name not in self.done), None)

    @property
    def in_doubt(self) -> bool:
        """Whether the next step, or what it takes back, may be half done."""
        step = self.next_step
        if step is None:
            return False
        forward = step.name.removeprefix(_BACK)
        return step.name in self.began or (step.back and forward not in self.done)

    @property
    def stuck(self) -> bool:
        """Whether the newest attempt at the way back failed."""
        step = self.next_step
        return step is not None and step.back and step.name in self.failed

    @property
    def ending(self) -> Ending | None:
        """How the run ends if it is closed now; None while there is something to do."""
        if self.stuck:
            return Ending.STUCK
        if self.next_step is not None:
            return None
        return Ending.TAKEN_BACK if self.backward else Ending.DONE


def fold_saga(plan: Sequence[SagaStep], events: Iterable[SagaEvent]) -> SagaState:
    """Where a run of ``plan`` stands after its events, in order, without its opening one."""
    state = SagaState(tuple(plan))
    for event in events:
        _add(state, event)
    return state


def _add(state: SagaState, event: SagaEvent) -> None:
    if event.step == "run":
        if event.phase in ("after", "failed") and state.outcome is None:
            state.outcome = str(event.data.get("outcome", event.phase))
    elif event.step == DECISION:
        # All done is done: a finished change of primary is turned by another one.
        if event.data.get("direction") == "back" and state.next_step is not None:
            state.backward = True
    elif any(step.name == event.step for step in state.steps):
        _advance(state, event)


def _advance(state: SagaState, event: SagaEvent) -> None:
    if event.phase == "before":
        state.began.add(event.step)
        state.failed.pop(event.step, None)
        return
    state.said[event.step] = event.data
    if event.phase == "after":
        state.done.add(event.step)
    elif event.phase == "failed":
        state.failed[event.step] = str(event.data.get("error", "failed"))
        state.backward = True
