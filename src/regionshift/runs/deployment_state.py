"""The state of a deployment in waves, as the fold of its events, and its next step. Pure.

A step that began and never ended is done again, so every step must be idempotent. When a forward step fails, the
deployment goes back, or stops if its plan says so. When a step of the way back fails, its regions are left to a
person, and the way back continues with the others. The step ``decision`` records what a person or ``resume`` chose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from regionshift.errors import WorkFailed
from regionshift.runs.deployment_plan import (
    DeploymentPlan,
    WaveStep,
    backward_steps,
    forward_steps,
    plan_from_json,
)
from regionshift.runs.state import RunEvent, RunState

DONE, DOWN, UNCHANGED = "done", "down", "unchanged"
STRAYED = "needs a person: it was changed outside of its wave; `regionshift up` brings it to one release"


class Direction(StrEnum):
    """The direction of the deployment. ``stopped``: it waits for a decision."""

    FORWARD = "forward"
    BACK = "back"
    STOPPED = "stopped"


class Outcome(StrEnum):
    """How a deployment ended. Only ``succeeded`` counts as success."""

    SUCCEEDED = "succeeded"
    PARTLY = "regions left behind"
    ROLLED_BACK = "rolled back"
    STOPPED = "stopped"
    NEEDS_PERSON = "needs a person"


@dataclass(frozen=True)
class RegionState:
    """One region. ``settled``: it has ``release`` and nothing else. Otherwise a change may be half done.

    ``note`` says why it is not settled: ``down`` or ``needs a person: ...``.
    """

    release: str | None
    settled: bool = True
    note: str = ""


@dataclass
class DeploymentState(RunState[WaveStep]):
    """The fold of one deployment's events.

    ``changed``: regions that the deployment began to change. ``whole``: those that were settled when their newest
    change began. ``left``: steps that ended with nothing done, as a region could not take part.
    """

    plan: DeploymentPlan
    direction: Direction = Direction.FORWARD
    regions: dict[str, RegionState] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)

    @property
    def steps(self) -> tuple[WaveStep, ...]:
        """See `RunState`."""
        if self.direction is Direction.BACK:
            return backward_steps(self.plan, self.began)
        return forward_steps(self.plan)

    @property
    def next_step(self) -> WaveStep | None:
        """The step to do now, without the regions that are down; None when nothing is left."""
        if self.outcome is not None or self.direction is Direction.STOPPED:
            return None
        for step in self.steps:
            if step.name not in self.done and step.name not in self.failed:
                regions = tuple(region for region in step.regions if self._takes_part(step, region))
                if regions:
                    return replace(step, regions=regions)
        return None

    @property
    def waits(self) -> bool:
        """Whether a person was asked to approve the next step, and has not answered."""
        step = self.next_step
        return step is not None and step.action == "approve" and step.name in self.began

    @property
    def choices(self) -> tuple[str, ...]:
        """The decisions that are possible now: ``back``, until that has begun or the deployment has ended."""
        return () if self.outcome is not None or self.direction is Direction.BACK else ("back",)

    @property
    def failed_back(self) -> dict[str, str]:
        """The steps of the way back that failed, and why."""
        return {name: why for name, why in self.failed.items() if name.startswith("back/")}

    @property
    def verdict(self) -> Outcome | None:
        """How the deployment ends when it is closed now; None while a step is left."""
        if self.next_step is not None:
            return None
        if self.direction is Direction.STOPPED:
            return Outcome.STOPPED
        if self.direction is Direction.FORWARD:
            whole = not _down(self) and all(s.settled for s in self._touched())
            return Outcome.SUCCEEDED if whole else Outcome.PARTLY
        clean = not self.failed_back and all(state.settled for state in self._touched())
        return Outcome.ROLLED_BACK if clean else Outcome.NEEDS_PERSON

    def result(self) -> dict[str, object]:
        """The state of each region as JSON, for the closing event. :func:`regions_from_result` reads it."""
        return {
            "regions": {
                region: {"release": state.release, "settled": state.settled, "note": state.note}
                for region, state in sorted(self.regions.items())
            }
        }

    def turn_back(self) -> None:
        """See `RunState`. Does nothing when the way back has begun, or the deployment has ended."""
        if self.choices:
            self.direction = Direction.BACK

    def step_named(self, name: str) -> WaveStep | None:
        """See `RunState`. Finds steps of both directions."""
        known = (*forward_steps(self.plan), *backward_steps(self.plan, self.began))
        return next((step for step in known if step.name == name), None)

    def advance(self, step: WaveStep, event: RunEvent) -> None:
        """See `RunState`. Also adds what the event says about each region."""
        told = event.data.get("regions")
        said: Mapping[str, object] = told if isinstance(told, dict) else {}
        super().advance(step, event)
        if event.phase == "before" and step.changes:
            _unsettle(self, step)
        elif event.phase == "after":
            if event.data.get("left"):
                self.left.add(step.name)
            _settle(self, step, said)
            if not step.back and _down(self) > self.plan.failure_tolerance:
                _fail(self, step, "more regions are down than is tolerated")
        elif event.phase == "failed":
            _note_unchanged(self, step, said)
            _note_strayed(self, said)
            _fail(self, step, str(event.data.get("error", "failed")), said)

    def said_per_region(self, kind: str = "deployment") -> dict[str, str]:
        """For a person: ``updated``, ``rolled back``, ``removed``, ``unchanged``, ``unfinished``, or why not."""
        back = kind == "rollback" or self.direction is Direction.BACK
        return {region: self._said(region, state, back) for region, state in sorted(self.regions.items())}

    def _said(self, region: str, state: RegionState, back: bool) -> str:
        if state.note:
            return state.note
        if region not in self.changed:
            return "unchanged"
        if not state.settled:
            return "unfinished"
        if state.release is None:
            return "removed"
        return "rolled back" if back else "updated"

    def _touched(self) -> list[RegionState]:
        return [
            self.regions[region]
            for wave in self.plan.waves
            for region in wave.regions
            if region in self.changed
        ]

    def _takes_part(self, step: WaveStep, region: str) -> bool:
        """A region that is down, or left to a person, takes part again when it is changed."""
        return step.changes or not self.regions[region].note


def fold_deployment(events: Iterable[RunEvent]) -> DeploymentState:
    """The state of a deployment after its events, in order. The first must open the run and have ``plan``.

    Raises:
        WorkFailed: there is no plan in the first event.
    """
    rest = iter(events)
    opening = next(rest, None)
    if opening is None or opening.step != "run":
        raise WorkFailed(
            "the journal of this deployment does not begin with its plan", error_id="RS-STATE-002"
        )
    plan = plan_from_json(opening.data.get("plan"))
    state = DeploymentState(
        plan,
        regions={
            r: RegionState(release, r not in plan.unsettled | plan.down, DOWN if r in plan.down else "")
            for r, release in plan.before.items()
        },
    )
    for event in rest:
        state.add(event)
    return state


def regions_from_result(result: Mapping[str, object]) -> dict[str, RegionState]:
    """The regions as a closed deployment left them. Empty when ``result`` does not say."""
    regions = result.get("regions")
    if not isinstance(regions, dict):
        return {}
    return {
        region: RegionState(state["release"], bool(state["settled"]), str(state["note"]))
        for region, state in regions.items()
    }


def _unsettle(state: DeploymentState, step: WaveStep) -> None:
    for region in step.regions:
        state.changed.add(region)
        if state.regions[region].settled:
            state.whole.add(region)
        else:
            state.whole.discard(region)
        state.regions[region] = RegionState(state.regions[region].release, settled=False)


def _settle(state: DeploymentState, step: WaveStep, said: Mapping[str, object]) -> None:
    """Also regions of other waves may be named: a bake may find the primary down."""
    for region in dict.fromkeys((*step.regions, *said)):
        word = str(said.get(region, DONE))
        if step.changes and word == DONE:
            goal = state.plan.before if step.back else state.plan.target
            state.regions[region] = RegionState(goal[region])
        elif word != DONE:
            state.regions[region] = RegionState(state.regions[region].release, settled=False, note=word)


def _note_unchanged(state: DeploymentState, step: WaveStep, said: Mapping[str, object]) -> None:
    """A failed step may know that it did not change a region. An earlier attempt may have changed it."""
    for region in step.regions:
        if step.changes and not step.back and said.get(region) == UNCHANGED and region in state.whole:
            release = state.regions[region].release
            state.regions[region] = RegionState(release)
            if release == state.plan.before[region]:
                state.changed.discard(region)


def _note_strayed(state: DeploymentState, said: Mapping[str, object]) -> None:
    """A failed step may have begun to change regions outside its wave."""
    for region in (region for region, word in said.items() if word == STRAYED):
        found = state.regions[region]
        state.changed.add(region)
        state.whole.discard(region)
        state.regions[region] = RegionState(found.release, settled=False, note=STRAYED)


def _fail(
    state: DeploymentState, step: WaveStep, why: str, said: Mapping[str, object] = MappingProxyType({})
) -> None:
    state.failed[step.name] = why
    if not step.back:
        goes_back = state.plan.on_failure == "rollback"
        state.direction = Direction.BACK if goes_back else Direction.STOPPED
        return
    # A check says which of its regions failed. An engine run does not.
    for region in step.regions:
        found = state.regions[region]
        if step.changes or not (found.note or said.get(region) == DONE):
            state.regions[region] = RegionState(found.release, found.settled, f"needs a person: {why}")


def _down(state: DeploymentState) -> int:
    return sum(found.note == DOWN for found in state.regions.values())
