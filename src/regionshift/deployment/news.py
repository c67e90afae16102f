"""What people are told of a deployment: its start, each wave, a failure, the way back, and the end. Pure.

Told from the fold before and after an event, so that the terminal and the topics say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from regionshift.deployment.state import DeploymentState, Direction, Outcome
from regionshift.deployment.steps import Step

NewsEvent = Literal["deploy", "destroy", "rollback", "promote", "move", "rejoin"]
NewsStatus = Literal["started", "success", "error"]


@dataclass(frozen=True)
class News:
    """One message: ``event`` and ``status`` as the function's notifications have them, and a sentence."""

    event: NewsEvent
    status: NewsStatus
    summary: str
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class AllRegionsNews:
    """A change of all regions at once, or their end, in words.

    Args:
        regions: that it is about, when they are known. changes: how many resources.
    """

    event: NewsEvent
    name: str
    regions: tuple[str, ...]
    changes: int

    def of_start(self) -> News:
        """It begins."""
        where = f" in {', '.join(self.regions)}" if self.regions else ""
        return self._news("started", f"{self.name} began: {self.changes} resources{where}, in one go")

    def of_success(self) -> News:
        """All is done."""
        where = f": {', '.join(self.regions)}" if self.regions else ""
        return self._news("success", f"{self.name} ended, succeeded{where}")

    def of_failure(self, why: str) -> News:
        """It stopped; what was done stays."""
        return self._news("error", f"{self.name} failed: {why.rstrip('.')}; what was done stays")

    def of_stop(self) -> News:
        """Somebody stopped it."""
        return self._news(
            "error", f"{self.name} was stopped; what was done stays: regionshift resume goes on with it"
        )

    def _news(self, status: NewsStatus, summary: str) -> News:
        return News(self.event, status, summary, {"regions": len(self.regions), "changes": self.changes})


def of_start(state: DeploymentState, kind: str) -> News:
    """The deployment begins."""
    order = ", then ".join(" and ".join(wave.regions) for wave in state.plan.waves)
    return News(_event(state, kind), "started", f"{_name(kind)} began: {order}", _counts(state))


def of_step(before: DeploymentState, after: DeploymentState, step: Step, kind: str) -> News | None:
    """What the end of ``step`` is worth telling; most steps are not."""
    if step.name in after.failed and step.name not in before.failed:
        turn = _turn(before, after)
        return News(_event(after, kind), "error", f"{step.name} failed: {after.failed[step.name]}{turn}")
    if step.back or step.wave is None or _goes_on(after, step):
        return None
    # The wave's, not the step's: what an earlier step found down has no part in this one.
    regions = next(wave.regions for wave in after.plan.waves if wave.number == step.wave)
    down = [region for region in regions if after.regions[region].note]
    said = f"; left behind: {', '.join(down)}" if down else ""
    well = [region for region in regions if region not in down]
    counts = {"wave": step.wave, **_counts(after)}
    summary = f"wave {step.wave} of {counts['waves']} is done: {', '.join(well) or 'no region'}{said}"
    return News(_event(after, kind), "error" if down else "success", summary, counts)


def of_end(state: DeploymentState, kind: str) -> News:
    """How it ended, region by region."""
    verdict = state.verdict
    word = str(verdict.value if verdict else "stopped")
    said = ", ".join(f"{region} {what}" for region, what in state.said_per_region(kind).items())
    status: NewsStatus = "success" if verdict is Outcome.SUCCEEDED else "error"
    return News(_event(state, kind), status, f"{_name(kind)} ended, {word}: {said}", _counts(state))


def of_waiting(state: DeploymentState, step: Step, kind: str) -> News:
    """A person is to approve a wave."""
    return News(
        _event(state, kind),
        "started",
        f"wave {step.wave} ({', '.join(step.regions)}) waits for a person: regionshift resume",
        _counts(state),
    )


def _goes_on(after: DeploymentState, step: Step) -> bool:
    following = after.next_step
    return following is not None and following.wave == step.wave and not following.back


def _turn(before: DeploymentState, after: DeploymentState) -> str:
    if before.direction is Direction.FORWARD and after.direction is Direction.BACK:
        return f"; taking back {', '.join(sorted(after.changed)) or 'nothing, for nothing was changed'}"
    return "; stopped there" if after.direction is Direction.STOPPED else ""


def _event(state: DeploymentState, kind: str) -> NewsEvent:
    return "rollback" if kind == "rollback" or state.direction is Direction.BACK else "deploy"


def _name(kind: str) -> str:
    return "rollback" if kind == "rollback" else "deployment"


def _counts(state: DeploymentState) -> dict[str, int]:
    # By their place in the settings, as the steps are named; one that has nothing to do is passed over.
    last = max((wave.number for wave in state.plan.waves), default=0)
    return {"regions": len(state.plan.target), "waves": last}
