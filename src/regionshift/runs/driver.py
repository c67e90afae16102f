"""The one driver of all runs. It writes an event before and after each step, and sends the messages.

A `RunKind` has what differs: the state with its next step, what a step does, the words of the messages, and what
happens when a step fails. The state is the fold of the run's events.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import ClassVar, Generic

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.errors import Changes, Interrupted, NoRoom, Refused, RegionshiftError, WorkFailed
from regionshift.journal.events import DECISION, Event, Phase, RunView
from regionshift.journal.journal import Journal, RunJournal
from regionshift.journal.store import StateUnreachable
from regionshift.machine import is_full
from regionshift.runs.messages import News, RunListener, RunNews, SagaNews
from regionshift.runs.state import RunStep, SagaState, StateT, StepT, fold_saga

Said = Mapping[str, object]
"""The result of a step, which the journal keeps."""


class Waits(Refused):
    """A step waits for a person. The run stays open."""

    error_id = "RS-RUN-007"

    def exit_code_after(self, changes: Changes) -> int:
        """The same code whatever was changed before: pipelines distinguish a wait from a failure by it."""
        del changes
        return self.exit_code


class Unanswered(Interrupted):
    """The person who was asked gave no answer. The step waits, and the run stays open."""


class WhenFailed(Enum):
    """What happens to a run when one of its steps fails."""

    ASK_STATE = auto()
    """The failure is written to the journal. The state says what is next: the way back, or the rest."""
    CLOSE = auto()
    """The failure is written to the journal, and the run is closed. Another run does the rest."""
    STAY_OPEN = auto()
    """The failure is not written to the journal. `resume` does the same step again."""


@dataclass(frozen=True)
class RunEnd:
    """How a run is closed: its outcome, and the other data of its closing event."""

    outcome: str
    result: Said = field(default_factory=dict)
    failed: bool = False


class RunKind(ABC, Generic[StateT, StepT]):
    """One kind of run.

    Args:
        when_failed: what happens to it when a step fails.
        step_errors: errors of a step, beside our own. Any other error is a defect, or comes from the machine.
    """

    when_failed: ClassVar[WhenFailed] = WhenFailed.ASK_STATE
    step_errors: ClassVar[tuple[type[Exception], ...]] = (ClientError, BotoCoreError)

    @property
    def event_region(self) -> str | None:
        """The region of all its events; None when they have none."""
        return None

    @property
    @abstractmethod
    def news(self) -> RunNews[StateT, StepT]:
        """Its messages."""

    @abstractmethod
    def state(self, events: Sequence[Event]) -> StateT:
        """Its state after ``events``, which are all of them."""

    @abstractmethod
    def do(self, step: StepT, state: StateT, *, doubt: bool) -> Said:
        """Do ``step``. ``doubt``: an earlier attempt may have done half of it."""

    @abstractmethod
    def end(self, state: StateT) -> RunEnd | None:
        """How it is closed when no step is left to try; None when it stays open."""

    @abstractmethod
    def told_regions(self, state: StateT) -> Collection[str]:
        """The regions whose topics get the messages."""

    def kept_before(self, step: StepT, *, doubt: bool) -> Said:
        """The data of the event before ``step``."""
        del step, doubt
        return {}

    def kept_of_failure(self, error: Exception) -> Said:
        """The data of the event of a failed step, with `WhenFailed.ASK_STATE`."""
        return {"error": sentence_of(error)}

    def why(self, error: BaseException) -> str:
        """``error`` in a few words. Of a defect only the type: its own words may hold a secret."""
        if isinstance(error, RegionshiftError):
            return error.message
        return str(error) if isinstance(error, self.step_errors) else type(error).__name__

    def explained(self, step: StepT, error: Exception) -> Exception:
        """``error`` as the command shows it when it ends with it."""
        return (
            WorkFailed(f"{step.name} failed: {error}", error_id="RS-RUN-008")
            if isinstance(error, self.step_errors)
            else error
        )

    def interruption(self, step: str, run_id: str) -> Interrupted | None:
        """The error that the person who stopped it reads; None for the one of the engine or Python."""
        del step, run_id
        return None

    def figures(self, closed: RunView) -> str:
        """The measurements in words, for the message of its end."""
        del closed
        return ""


class SagaRun(RunKind[SagaState, RunStep]):
    """A kind whose steps are known when it begins. They may copy objects and write files."""

    step_errors: ClassVar[tuple[type[Exception], ...]] = (ClientError, BotoCoreError, OSError)

    @property
    def title(self) -> str:
        """The title of the table of its steps."""
        return self.news.title

    @property
    def command(self) -> str:
        """The command that begins it; empty when no command begins such a run again."""
        return ""

    def facts(self, state: SagaState, view: RunView) -> Said:
        """Facts that are shown at its end. `report.terminal.run_facts_table` has their names for people."""
        del state, view
        return {}

    @property
    @abstractmethod
    def steps(self) -> tuple[RunStep, ...]:
        """Its steps, in order."""

    @property
    @abstractmethod
    def news(self) -> SagaNews:
        """See `RunKind`."""

    def state(self, events: Sequence[Event]) -> SagaState:
        """See `RunKind`."""
        return fold_saga(self.steps, events[1:])

    def interruption(self, step: str, run_id: str) -> Interrupted:
        """See `RunKind`."""
        del run_id
        return Interrupted(f"Stopped as asked, at {step}: {self.news.title} is open.", remedy=self.news.go_on)


def saga_state(journal: Journal, run_id: str, steps: Sequence[RunStep]) -> SagaState:
    """The state of a run of known steps, by its events."""
    return fold_saga(steps, journal.events(run_id)[1:])


def turn_back(journal: Journal, run: RunJournal, steps: Sequence[RunStep]) -> None:
    """Decide that an open run of known steps is undone, unless all of its steps are done."""
    if saga_state(journal, run.run_id, steps).next_step is not None:
        run.append(DECISION, "after", data={"direction": "back", "by": "resume"})


def sentence_of(error: Exception) -> str:
    """The message of ``error``, where it happened and its remedy, in one line."""
    if not isinstance(error, RegionshiftError):
        return str(error)
    where = f" [{error.where}]" if error.where else ""
    remedy = f" → {error.remedy}" if error.remedy else ""
    return f"{error.message}{where}{remedy}"


@dataclass(frozen=True)
class RunUnderWay(Generic[StateT, StepT]):
    """An open run with its kind and its listeners."""

    journal: Journal
    run: RunJournal
    kind: RunKind[StateT, StepT]
    listeners: Sequence[RunListener[StepT]] = ()

    def tell(self, state: StateT, *news: News | None) -> None:
        """Send each message to every listener."""
        for each in filter(None, news):
            try:
                regions = self.kind.told_regions(state)
            except StateUnreachable:
                regions = ()  # the terminal gets it all the same; the next step meets the same trouble
            for listener in self.listeners:
                listener.on_news(self.run.run_id, each, regions)

    def write(self, step: StepT, phase: Phase, kept: Said) -> Event:
        """Write to the journal that ``step`` begins or has ended."""
        looks = phase == "before" and step.only_looks
        return self.run.append(step.name, phase, self.kind.event_region, kept, only_looks=looks)

    def show_course(self, state: StateT) -> None:
        """Tell which steps the run has."""
        for listener in self.listeners:
            listener.on_course(state.steps)

    def show(self, step: StepT, phase: Phase, kept: Said) -> None:
        """Show that ``step`` begins or has ended."""
        for listener in self.listeners:
            listener.on_step(step, phase, {} if phase == "before" else kept)

    def give_up(
        self, step: StepT, outcome: str, why: BaseException, error: BaseException, *, at_work: bool
    ) -> None:
        """Close the run at ``step`` because of ``why``. Raises ``error`` when that cannot be written: it stays open.

        Args:
            at_work: the step has begun and not ended, so the step is what failed.
        """
        try:
            if at_work:
                kept = {"error": self.kind.why(why)}
                self.write(step, "failed", kept)
                self.show(step, "failed", kept)
            self.run.close(outcome, failed=True)
        except StateUnreachable as failure:
            error.add_note(f"that could not be written down: {failure.message}")
            raise error from failure


def drive(under_way: RunUnderWay[StateT, StepT]) -> StateT:
    """Do the rest of an open run, and close it when that is its end. Returns its state.

    Raises:
        Interrupted, KeyboardInterrupt: somebody asked to stop.
        Waits: a step waits for a person. The run stays open for `resume`.
        NoRoom: a disk is full. No step is undone for that, and the run stays open.
        RegionshiftError: a step failed, and the kind has no step for that; or the journal or the lock is lost, and the
            run stays open as it is.
    """
    return drive_in_sessions(lambda: nullcontext(under_way))[0]


def drive_in_sessions(
    session: Callable[[], AbstractContextManager[RunUnderWay[StateT, StepT]]],
) -> tuple[StateT, RunView | None]:
    """The same with a new session for each step, as a step may change the settings. Also returns the closed run."""
    driver: _Driver[StateT, StepT] = _Driver()
    while True:
        with session() as at:
            state = driver.advance(at)
            if driver.is_over(state):
                end = at.kind.end(state)
                closed = at.run.close(end.outcome, end.result, failed=end.failed) if end else None
                at.tell(state, at.kind.news.of_end(state, at.kind.figures(closed) if closed else ""))
                return state, closed


@dataclass
class _Driver(Generic[StateT, StepT]):
    """What one process knows of a run beside its events.

    Args:
        started: the message of its start is sent. failed: the steps that failed in this process.
        known: its newest state. at_work: a step has begun and not ended. closed: it was closed because of a failure.
    """

    started: bool = False
    failed: set[str] = field(default_factory=set)
    known: StateT | None = None
    at_work: bool = False
    closed: bool = False

    def is_over(self, state: StateT) -> bool:
        """Whether no step is left. A step that failed in this process is left to `resume`."""
        step = state.next_step
        return step is None or step.name in self.failed

    def advance(self, at: RunUnderWay[StateT, StepT]) -> StateT:
        """Do the next step, if there is one."""
        try:
            events = at.journal.events(at.run.run_id)
            self.known = state = at.kind.state(events)
            if not self.started:
                self._start(at, state)
            step = state.next_step
            return state if step is None else self._do(at, step, events, state)
        except Unanswered:
            raise
        except (Interrupted, KeyboardInterrupt) as stopped:
            at.journal.guard()  # a lost lock stops the engine too, and then nobody asked to stop
            if (told := self._of_interruption(at, stopped)) is stopped:
                raise
            raise told from stopped
        except Exception as error:
            if (told := self._of_trouble(at, error)) is error:
                raise
            raise told from error

    def _of_interruption(
        self, at: RunUnderWay[StateT, StepT], stopped: Interrupted | KeyboardInterrupt
    ) -> BaseException:
        """The error for the person who stopped the run. Closes it when its kind cannot be continued."""
        state, kind = self.known, at.kind
        step: StepT | None = state.next_step if state is not None else None
        if state is None or step is None:
            return stopped
        if kind.when_failed is WhenFailed.CLOSE and not self.closed:
            at.give_up(step, "interrupted", stopped, stopped, at_work=self.at_work)
        at.tell(state, kind.news.of_interruption(state, step.name))
        return kind.interruption(step.name, at.run.run_id) or stopped

    def _of_trouble(self, at: RunUnderWay[StateT, StepT], error: Exception) -> Exception:
        """The error that the command ends with when no step failed, but the state or a listener."""
        state, kind = self.known, at.kind
        step: StepT | None = state.next_step if state is not None else None
        if kind.when_failed is not WhenFailed.CLOSE or self.closed or state is None or step is None:
            return error
        # Here an OSError comes from the terminal or the log, not from a step.
        told = error if isinstance(error, OSError) else kind.explained(step, error)
        at.give_up(step, "failed", error, told, at_work=self.at_work)
        at.tell(state, kind.news.of_failure(state, step.name, kind.why(told)))
        return told

    def _start(self, at: RunUnderWay[StateT, StepT], state: StateT) -> None:
        self.started = True
        at.tell(state, at.kind.news.of_start(state))
        at.show_course(state)
        for step in state.finished:
            for listener in at.listeners:
                listener.on_step(step, "earlier", {})

    def _do(self, at: RunUnderWay[StateT, StepT], step: StepT, events: list[Event], before: StateT) -> StateT:
        kind = at.kind
        kept = kind.kept_before(step, doubt=before.in_doubt)
        events.append(at.write(step, "before", kept))
        self.at_work = True
        self.known = state = kind.state(events)
        at.show_course(state)
        at.show(step, "before", kept)
        phase: Phase = "after"
        try:
            said = kind.do(step, state, doubt=before.in_doubt)
        except Waits:
            at.tell(state, kind.news.of_waiting(state, step))
            raise
        except Interrupted:
            raise
        except Exception as error:  # noqa: BLE001 - `_of_failure` raises what is not the step's own
            said, phase = self._of_failure(at, step, state, error), "failed"
            self.failed.add(step.name)
        events.append(at.write(step, phase, said))
        self.at_work = False
        at.show(step, phase, said)
        after = kind.state(events)
        if after.next_step is not None:
            self.known = after
        at.tell(after, *kind.news.of_step(before, after, step))
        return after

    def _of_failure(
        self, at: RunUnderWay[StateT, StepT], step: StepT, state: StateT, error: Exception
    ) -> Said:
        """The data of the failed step, when the state says what is next. Otherwise raises the command's error."""
        kind, found = at.kind, _as_no_room(step, error)
        if kind.when_failed is WhenFailed.ASK_STATE:
            if isinstance(found, (RegionshiftError, *kind.step_errors)) and not isinstance(found, NoRoom):
                return kind.kept_of_failure(found)
        else:
            told, why = kind.explained(step, found), kind.why(found)
            if kind.when_failed is WhenFailed.CLOSE:
                self.closed, why = True, kind.why(told)
                at.give_up(step, "failed", found, told, at_work=True)
            at.tell(state, kind.news.of_failure(state, step.name, why))
            found = told
        if found is error:
            raise error
        raise found from error


def _as_no_room(step: RunStep, error: Exception) -> Exception:
    if not (isinstance(error, OSError) and is_full(error)):
        return error
    return NoRoom(
        "No room is left on a disk of this machine.",
        where=str(error.filename or step.name),
        remedy="make room there, then: regionshift resume",
    )
