"""Where a run stands: the fold of its events, and the step that is next. Pure.

A step that began and never ended is done again; each step and each way back must bear that.
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
    """What is read of an event; the journal's events have it."""

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
        name: in the journal. reversible: whether there is something to take back. back: it is of the way back.
        regions: that it is about, where it is not about all. meaning: what it does, for the view of it.
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
        """As it is."""
        return True


StepT = TypeVar("StepT", bound=RunStep)


@dataclass(kw_only=True)
class RunState(ABC, Generic[StepT]):
    """The fold of one run's events: which steps began, are done or failed, and what each kept. Only `add` writes it."""

    began: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    said: dict[str, Mapping[str, object]] = field(default_factory=dict)
    outcome: str | None = None

    @property
    @abstractmethod
    def steps(self) -> tuple[StepT, ...]:
        """The steps of the present direction, the finished ones included."""

    @property
    def next_step(self) -> StepT | None:
        """What is to be done now; None when nothing is left."""
        if self.outcome is not None:
            return None
        return next((step for step in self.steps if step.name not in self.done), None)

    @property
    def finished(self) -> tuple[StepT, ...]:
        """The steps that are done."""
        return tuple(step for step in self.steps if step.name in self.done)

    @property
    def in_doubt(self) -> bool:
        """Whether the next step may be half done: look at what it left before doing it again."""
        step = self.next_step
        return step is not None and step.name in self.began

    def add(self, event: RunEvent) -> None:
        """Take note of the next event."""
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
        """A person, or `resume`, decided to take the run back."""

    def step_named(self, name: str) -> StepT | None:
        """The step of an event; None for one that is no step of this run."""
        return next((step for step in self.steps if step.name == name), None)

    def advance(self, step: StepT, event: RunEvent) -> None:
        """Take note of one event of ``step``."""
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
    """How a saga ends; only ``done`` is a success. ``stuck`` is no end: a way back failed, and is tried again."""

    DONE = "done"
    TAKEN_BACK = "taken back"
    STUCK = "needs a person"


@dataclass
class SagaState(RunState[RunStep]):
    """A run whose steps each have a way back: it ends with all of them done, or with none.

    A step that failed turns it around: every step that began is taken back in reverse order. A way back that failed
    leaves the run open, so that it is tried again: a closed run is never between.
    """

    plan: tuple[RunStep, ...]
    backward: bool = False

    @property
    def steps(self) -> tuple[RunStep, ...]:
        """As of every run."""
        if not self.backward:
            return self.plan
        return tuple(
            RunStep(_BACK + step.name, step.reversible, back=True)
            for step in reversed(self.plan)
            if step.reversible and step.name in self.began
        )

    @property
    def finished(self) -> tuple[RunStep, ...]:
        """The steps that are done, those of the way there first."""
        return tuple(step for step in dict.fromkeys((*self.plan, *self.steps)) if step.name in self.done)

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

    def turn_back(self) -> None:
        """All done is done: a finished change of primary is turned by another one."""
        if self.next_step is not None:
            self.backward = True

    def advance(self, step: RunStep, event: RunEvent) -> None:
        """As of every run; one that failed turns it around."""
        super().advance(step, event)
        if event.phase == "failed":
            self.backward = True


def fold_saga(plan: Sequence[RunStep], events: Iterable[RunEvent]) -> SagaState:
    """Where a run of ``plan`` stands after its events, in order, without its opening one."""
    state = SagaState(tuple(plan))
    for event in events:
        state.add(event)
    return state
