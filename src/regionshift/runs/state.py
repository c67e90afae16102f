"""The state of a run, as the fold of its events, and its next step. Pure.

A step that began and never ended is done again, so steps and ways back must be idempotent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from regionshift.journal.events import DECISION, RUN

_BACK = "back/"


class RunEvent(Protocol):
    """The part of a journal event that the fold reads."""

    @property
    def step(self) -> str: ...
    @property
    def phase(self) -> str: ...
    @property
    def data(self) -> Mapping[str, object]: ...


@dataclass(frozen=True)
class RunStep:
    """One step of a run.

    Args:
        name: in the journal. reversible: whether there is something to undo. back: it belongs to the way back.
        regions: the regions it changes; empty for all. meaning: what it does, for the table of steps.
    """

    name: str
    reversible: bool = True
    back: bool = False
    regions: tuple[str, ...] = ()
    meaning: str = ""

    @property
    def only_looks(self) -> bool:
        """Whether the step changes nothing at all."""
        return False


@dataclass(frozen=True)
class LookStep(RunStep):
    """A step that changes nothing at all."""

    @property
    def only_looks(self) -> bool:
        """Always."""
        return True


StepT = TypeVar("StepT", bound=RunStep)


@dataclass(kw_only=True)
class RunState(ABC, Generic[StepT]):
    """The fold of one run's events: which steps began, ended or failed, and what each kept. Only `add` changes it."""

    began: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    said: dict[str, Mapping[str, object]] = field(default_factory=dict)
    outcome: str | None = None

    @property
    @abstractmethod
    def steps(self) -> tuple[StepT, ...]:
        """The steps of the present direction, with the finished ones."""

    @property
    def next_step(self) -> StepT | None:
        """The step to do now; None when nothing is left."""
        if self.outcome is not None:
            return None
        return next((step for step in self.steps if step.name not in self.done), None)

    @property
    def finished(self) -> tuple[StepT, ...]:
        """The steps that are done."""
        return tuple(step for step in self.steps if step.name in self.done)

    @property
    def in_doubt(self) -> bool:
        """Whether the next step may be half done. It must look at what it left before it starts again."""
        step = self.next_step
        return step is not None and step.name in self.began

    def add(self, event: RunEvent) -> None:
        """Add the next event."""
        if event.step == RUN:
            if event.phase in ("after", "failed") and self.outcome is None:
                self.outcome = str(event.data.get("outcome", event.phase))
        elif event.step == DECISION:
            if event.data.get("direction") == "back":
                self.turn_back()
        elif (step := self.step_named(event.step)) is not None:
            self.advance(step, event)

    @abstractmethod
    def turn_back(self) -> None:
        """A person, or `resume`, decided to undo the run."""

    def step_named(self, name: str) -> StepT | None:
        """The step ``name``; None when this run has none of that name."""
        return next((step for step in self.steps if step.name == name), None)

    def advance(self, step: StepT, event: RunEvent) -> None:
        """Add one event of ``step``."""
        if event.phase == "before":
            self.began.add(step.name)
            self.failed.pop(step.name, None)
            return
        self.said[step.name] = event.data
        if event.phase == "after":
            self.done.add(step.name)
        elif event.phase == "failed":
            self.failed[step.name] = str(event.data.get("error", "failed"))


StateT = TypeVar("StateT", bound=RunState[Any])


class Ending(StrEnum):
    """How a saga ends. Only ``done`` is a success. ``stuck`` is no end: a way back failed and is tried again."""

    DONE = "done"
    TAKEN_BACK = "taken back"
    STUCK = "needs a person"


@dataclass
class SagaState(RunState[RunStep]):
    """A run that ends with all of its steps done, or with none.

    When a step fails, every step that began is undone in reverse order. When a way back fails, the run stays open and
    the way back is tried again. So a closed run is never half done.
    """

    plan: tuple[RunStep, ...]
    backward: bool = False

    @property
    def steps(self) -> tuple[RunStep, ...]:
        """See `RunState`."""
        if not self.backward:
            return self.plan
        return tuple(
            RunStep(_BACK + step.name, step.reversible, back=True)
            for step in reversed(self.plan)
            if step.reversible and step.name in self.began
        )

    @property
    def finished(self) -> tuple[RunStep, ...]:
        """The steps that are done, forward steps first."""
        return tuple(step for step in dict.fromkeys((*self.plan, *self.steps)) if step.name in self.done)

    @property
    def in_doubt(self) -> bool:
        """Whether the next step, or the step that it undoes, may be half done."""
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
        """How the run ends when it is closed now; None while a step is left."""
        if self.stuck:
            return Ending.STUCK
        if self.next_step is not None:
            return None
        return Ending.TAKEN_BACK if self.backward else Ending.DONE

    def turn_back(self) -> None:
        """Undo, unless all steps are done: only another change of primary reverses a finished one."""
        if self.next_step is not None:
            self.backward = True

    def advance(self, step: RunStep, event: RunEvent) -> None:
        """See `RunState`. A failed step starts the way back."""
        super().advance(step, event)
        if event.phase == "failed":
            self.backward = True


def fold_saga(plan: Sequence[RunStep], events: Iterable[RunEvent]) -> SagaState:
    """The state of a run of ``plan`` after ``events``: all in order, without the opening one."""
    state = SagaState(tuple(plan))
    for event in events:
        state.add(event)
    return state
