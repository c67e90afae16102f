"""The messages of a run (start, step, failure, way back, end), and the interface of those who receive them. Pure.

A message is made from the state before and after an event, so the terminal and the topics say the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from regionshift.runs.deployment_plan import WaveStep
from regionshift.runs.deployment_state import DeploymentState, Direction, Outcome
from regionshift.runs.state import Ending, RunStep, SagaState, StateT, StepT

NewsEvent = str
"""Subscriptions filter on it: deploy, destroy, rollback, promote, move, rejoin, migrate, or a new kind's name."""
NewsStatus = Literal["started", "success", "error"]
StepPhase = Literal["earlier", "before", "after", "failed"]
"""``earlier``: an earlier process did it."""
PLAN_STEP = "plan"
_StepT_contra = TypeVar("_StepT_contra", bound=RunStep, contravariant=True)


@dataclass(frozen=True)
class News:
    """One message. ``event`` and ``status`` are those of the function's notifications; ``summary`` is a sentence.

    Args:
        migration_id: set in a message about a migration. Such a message names no deployment.
    """

    event: NewsEvent
    status: NewsStatus
    summary: str
    counts: Mapping[str, int] = field(default_factory=dict)
    migration_id: str | None = None


@dataclass(frozen=True)
class StepWork:
    """The current work of a step.

    Args:
        what: in words. region: where; None for all regions of the step.
        done, total: its progress there. left: the seconds that it still takes; None when they are not known.
    """

    what: str
    region: str | None = None
    done: int = 0
    total: int = 0
    left: float | None = None


class RunListener(Generic[_StepT_contra]):
    """Receives what happens in a run. A subclass overrides what it wants to know."""

    def on_course(self, steps: Sequence[_StepT_contra]) -> None:
        """The steps of the present direction, the finished ones included. Called again before each step."""

    def on_step(self, step: _StepT_contra, phase: StepPhase, said: Mapping[str, object]) -> None:
        """A step begins or has ended. ``said``: what the journal keeps of its end."""

    def on_work(self, work: StepWork) -> None:
        """What the step that began last is doing."""

    def on_news(self, run_id: str, news: News, regions: Collection[str]) -> None:
        """A message for people. ``regions``: the regions whose topics may get it."""


class RunNews(Generic[StateT, StepT]):
    """The messages of one kind of run. None means no message."""

    def of_start(self, state: StateT) -> News | None:
        """The run begins or continues."""
        del state
        return None

    def of_step(self, before: StateT, after: StateT, step: StepT) -> Sequence[News | None]:
        """The messages for the end of ``step``."""
        del before, after, step
        return ()

    def of_waiting(self, state: StateT, step: StepT) -> News | None:
        """``step`` waits for the approval of a person."""
        del state, step
        return None

    def of_failure(self, state: StateT, step: str, why: str) -> News | None:
        """A step failed, and this command does nothing more about it."""
        del state, step, why
        return None

    def of_interruption(self, state: StateT, step: str) -> News | None:
        """Somebody stopped the run."""
        del state, step
        return None

    def of_end(self, state: StateT, figures: str) -> News | None:
        """How the run ended. ``figures``: what was measured, in words."""
        del state, figures
        return None


@dataclass(frozen=True)
class AllRegionsNews(RunNews[SagaState, RunStep]):
    """The messages of a deployment of all regions at once, or of a destroy.

    Args:
        regions: the regions, as far as they are known. changes: how many resources change.
    """

    event: NewsEvent
    name: str
    regions: tuple[str, ...]
    changes: int

    def of_start(self, state: SagaState) -> News:
        """See `RunNews`."""
        del state
        where = f" in {', '.join(self.regions)}" if self.regions else ""
        return self._news("started", f"{self.name} began: {self.changes} resources{where}, in one go")

    def of_end(self, state: SagaState, figures: str = "") -> News:
        """The run succeeded."""
        del state, figures
        where = f": {', '.join(self.regions)}" if self.regions else ""
        return self._news("success", f"{self.name} ended, succeeded{where}")

    def of_failure(self, state: SagaState, step: str, why: str) -> News:
        """See `RunNews`. The finished changes stay."""
        del state, step
        return self._news("error", f"{self.name} failed: {why.rstrip('.')}; what was done stays")

    def of_interruption(self, state: SagaState, step: str) -> News:
        """See `RunNews`."""
        del state, step
        return self._news(
            "error", f"{self.name} was stopped; what was done stays: regionshift resume continues it"
        )

    def _news(self, status: NewsStatus, summary: str) -> News:
        return News(self.event, status, summary, {"regions": len(self.regions), "changes": self.changes})


@dataclass(frozen=True)
class DeploymentNews(RunNews[DeploymentState, WaveStep]):
    """The messages of a deployment in waves, or of its rollback. ``kind`` says which."""

    kind: str

    def of_start(self, state: DeploymentState) -> News | None:
        """The deployment begins. No message when it continues."""
        if state.began:
            return None
        order = ", then ".join(" and ".join(wave.regions) for wave in state.plan.waves)
        return News(self._event(state), "started", f"{self._name} began: {order}", _counts(state))

    def of_step(self, before: DeploymentState, after: DeploymentState, step: WaveStep) -> list[News]:
        """One when a step failed, and one when a wave is done."""
        if step.name in after.failed and step.name not in before.failed:
            turn = _turn(before, after)
            return [News(self._event(after), "error", f"{step.name} failed: {after.failed[step.name]}{turn}")]
        if step.back or step.wave is None or _goes_on(after, step):
            return []
        # All regions of the wave: the step leaves out those that an earlier step found down.
        regions = next(wave.regions for wave in after.plan.waves if wave.number == step.wave)
        down = [region for region in regions if after.regions[region].note]
        said = f"; left behind: {', '.join(down)}" if down else ""
        well = [region for region in regions if region not in down]
        counts = {"wave": step.wave, **_counts(after)}
        if relied := relied_on(after.said.get(step.name, {})):
            said += f"; {relied}"
        summary = f"wave {step.wave} of {counts['waves']} is done: {', '.join(well) or 'no region'}{said}"
        return [News(self._event(after), "error" if down else "success", summary, counts)]

    def of_end(self, state: DeploymentState, figures: str = "") -> News:
        """How the run ended, region by region."""
        del figures
        verdict = state.verdict
        word = str(verdict.value if verdict else "stopped")
        said = ", ".join(f"{region} {what}" for region, what in state.said_per_region(self.kind).items())
        status: NewsStatus = "success" if verdict is Outcome.SUCCEEDED else "error"
        return News(self._event(state), status, f"{self._name} ended, {word}: {said}", _counts(state))

    def of_waiting(self, state: DeploymentState, step: WaveStep) -> News:
        """A wave waits for the approval of a person."""
        return News(
            self._event(state),
            "started",
            f"wave {step.wave} ({', '.join(step.regions)}) waits for a person: regionshift resume",
            _counts(state),
        )

    def _event(self, state: DeploymentState) -> NewsEvent:
        return "rollback" if self.kind == "rollback" or state.direction is Direction.BACK else "deploy"

    @property
    def _name(self) -> str:
        return "rollback" if self.kind == "rollback" else "deployment"


@dataclass(frozen=True)
class SagaNews(RunNews[SagaState, RunStep]):
    """The messages of a run of known steps.

    Args:
        event: for subscriptions; messages of the way back have ``rollback``.
        title: what the run does, as "change of primary from A to B".
        steps: their names, in order.
        success, undone: the result when all is done, and when all is undone.
        go_on: the command that continues the run.
        last_says_all: no message for the end of the last step, as the end of the run follows.
    """

    event: NewsEvent
    title: str
    steps: tuple[str, ...]
    success: str
    undone: str
    go_on: str
    last_says_all: bool = False

    def of_start(self, state: SagaState) -> News:
        """The run begins, continues, or is undone."""
        back = state.backward
        word = "is rolled back" if back else "continues" if state.began else "began"
        event: NewsEvent = "rollback" if back else self.event
        order = "" if back else f": {', '.join(self.steps)}"
        return News(event, "started", f"{self.title} {word}{order}", self._counts())

    def of_failure(self, state: SagaState, step: str, why: str) -> News:
        """See `RunNews`. The finished steps stay until somebody continues the run."""
        del state
        return News(self.event, "error", f"{step} failed: {why}; to continue: {self.go_on}", self._counts())

    def of_interruption(self, state: SagaState, step: str) -> News:
        """See `RunNews`. The run stays open at this step."""
        del state
        said = f"{self.title} was stopped at {step}; to continue: {self.go_on}"
        return News(self.event, "error", said, self._counts())

    def of_stop(self) -> News:
        """All is undone, or the run was stopped."""
        return News("rollback", "error", f"{self.title} ended, rolled back: {self.undone}", self._counts())

    def of_step(self, before: SagaState, after: SagaState, step: RunStep) -> list[News]:
        """One when a step failed or is done, and one for the warning of a finished step."""
        if step.name in after.failed:
            turned = after.backward and not before.backward
            began = ", ".join(
                each.name for each in after.plan if each.reversible and each.name in after.began
            )
            turn = f"; rolling back {began or 'nothing, for nothing was changed'}" if turned else ""
            why = after.failed[step.name]
            return [News("rollback", "error", f"{step.name} failed: {why}{turn}", self._counts())]
        warning = after.said[step.name].get("warning")
        told = [News(self.event, "error", f"{step.name}: {warning}", self._counts())] if warning else []
        if step.back or (self.last_says_all and step.name == self.steps[-1]):
            return told
        number = self.steps.index(step.name) + 1
        summary = f"step {number} of {len(self.steps)} is done: {step.name} ({self.title})"
        return [News(self.event, "success", summary, {"step": number, **self._counts()}), *told]

    def of_end(self, state: SagaState, figures: str = "") -> News:
        """How the run ended, or that its way back failed and a person must act."""
        if state.ending is Ending.DONE:
            said = f"{self.title} ended: {self.success}{'; ' + figures if figures else ''}"
            return News(self.event, "success", said, self._counts())
        if state.ending is Ending.TAKEN_BACK:
            return self.of_stop()
        said = f"{self.title} is between, and needs a person: fix the cause, then: {self.go_on}"
        return News("rollback", "error", said, self._counts())

    def _counts(self) -> dict[str, int]:
        return {"steps": len(self.steps)}


@dataclass(frozen=True)
class DataNews(RunNews[SagaState, RunStep]):
    """The messages of a migration, or of its undo.

    Args:
        event: ``migrate`` or ``rollback``.
        is_open: there is something to change, and nobody else sends the message of the end.
        ended: the outcome. counts: what must be done, and at the end what was done.
    """

    event: NewsEvent
    migration_id: str
    region: str
    is_open: bool
    ended: str
    counts: Mapping[str, int]

    def of_start(self, state: SagaState) -> News | None:
        """Only an undo: a migration plans before it changes something."""
        del state
        return self._started() if self.is_open else None

    def of_step(self, before: SagaState, after: SagaState, step: RunStep) -> Sequence[News | None]:
        """The start, when the plan has something to do."""
        is_started = step.name == PLAN_STEP and self.is_open and after.next_step is not None
        del before
        return (self._started(),) if is_started else ()

    def of_failure(self, state: SagaState, step: str, why: str) -> News | None:
        """See `RunNews`. No message when nobody got the start, or somebody else sends the end."""
        del state, step
        return self._early(why) if self.is_open else None

    def of_interruption(self, state: SagaState, step: str) -> News:
        """See `RunNews`. The state machine cannot send it: it only sees that it must stop."""
        del state, step
        return self._early("it was interrupted")

    def of_end(self, state: SagaState, figures: str) -> News | None:
        """See `RunNews`. No message when somebody else sends it."""
        del state, figures
        if not self.is_open:
            return None
        status: NewsStatus = "success" if self.ended == "completed" else "error"
        return self._news(status, f"{self._what} ended as {self.ended}.", self.counts)

    @property
    def _what(self) -> str:
        noun = "Migration" if self.event == "migrate" else "Rollback of"
        return f"{noun} {self.migration_id} in {self.region}"

    def _started(self) -> News:
        return self._news("started", f"{self._what} started.", self.counts)

    def _early(self, why: str) -> News:
        return self._news("error", f"{self._what} ended early: {why}", {})

    def _news(self, status: NewsStatus, summary: str, counts: Mapping[str, int]) -> News:
        return News(self.event, status, summary, dict(counts), self.migration_id)


def relied_on(said: Mapping[str, object]) -> str:
    """What a bake was judged by, when alarms had no data. Empty when every alarm had data."""
    silent, seconds = said.get("no_data"), said.get("replication_seconds")
    if not isinstance(silent, Mapping) or not silent:
        return ""
    count = sum(len(names) for names in silent.values())
    calls = sum(
        sum(found.values()) for each in ("probes", "traffic") if isinstance(found := said.get(each), dict)
    )
    parts = [f"{calls} calls of the function"] if calls else []
    if isinstance(seconds, Mapping) and seconds:
        parts.append(f"an object replicated to {', '.join(seconds)}")
    judged = " and ".join(parts) or "the checks before it alone"
    alarms = "1 alarm" if count == 1 else f"{count} alarms"
    return f"no data seen of {alarms} ({', '.join(silent)}), so judged by {judged}"


def _goes_on(after: DeploymentState, step: WaveStep) -> bool:
    following = after.next_step
    return following is not None and following.wave == step.wave and not following.back


def _turn(before: DeploymentState, after: DeploymentState) -> str:
    if before.direction is Direction.FORWARD and after.direction is Direction.BACK:
        return f"; rolling back {', '.join(sorted(after.changed)) or 'nothing, for nothing was changed'}"
    return "; stopped there" if after.direction is Direction.STOPPED else ""


def _counts(state: DeploymentState) -> dict[str, int]:
    # Waves are numbered by the settings, as in the names of steps. A wave with nothing to do is left out.
    last = max((wave.number for wave in state.plan.waves), default=0)
    return {"regions": len(state.plan.target), "waves": last}
