"""The steps of a deployment, forward and back, as its plan implies them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from regionshift.deployment.plan import DeploymentPlan, Wave

Action = Literal["approve", "apply", "validate", "bake", "links"]


@dataclass(frozen=True)
class Step:
    """One step: what the journal calls it, what is done, and to which regions.

    ``wave`` is None for the links. ``back`` marks the way back, where ``apply`` gives each region the release
    that it had before.
    """

    name: str
    action: Action
    regions: tuple[str, ...]
    wave: int | None = None
    back: bool = False

    @property
    def changes(self) -> bool:
        """Whether the step may change what its regions run."""
        return self.action == "apply"

    @property
    def only_looks(self) -> bool:
        """Whether the step changes nothing at all."""
        return self.action not in ("apply", "links")


def forward_steps(plan: DeploymentPlan) -> tuple[Step, ...]:
    """Every step of the way there. Links come last, or first when the plan itself is a way back."""
    waves = tuple(step for wave in plan.waves for step in _wave_steps(wave, plan))
    regions = tuple(region for wave in plan.waves for region in wave.regions)
    if not regions:
        return ()
    links = Step("links", "links", regions)
    if plan.links_first:
        return (links, *waves)
    return (*waves, links, Step("links/validate", "validate", regions))


def backward_steps(plan: DeploymentPlan, began: Collection[str]) -> tuple[Step, ...]:
    """Every step of the way back from the steps that began: links first, then the last wave first."""
    reached = [wave for wave in plan.waves if f"wave-{wave.number}/apply" in began]
    steps: list[Step] = []
    if "links" in began:
        steps.append(
            Step("back/links", "links", tuple(r for wave in reached for r in wave.regions), back=True)
        )
    for wave in reversed(reached):
        name = f"back/wave-{wave.number}"
        steps.append(Step(f"{name}/apply", "apply", wave.regions, wave.number, back=True))
        steps.append(Step(f"{name}/validate", "validate", wave.regions, wave.number, back=True))
    return tuple(steps)


def _wave_steps(wave: Wave, plan: DeploymentPlan) -> tuple[Step, ...]:
    name, regions, number = f"wave-{wave.number}", wave.regions, wave.number
    approve = (Step(f"{name}/approve", "approve", regions, number),) if wave.approve else ()
    bake = () if plan.links_first else (Step(f"{name}/bake", "bake", regions, number),)
    return (
        *approve,
        Step(f"{name}/apply", "apply", regions, number),
        Step(f"{name}/validate", "validate", regions, number),
        *bake,
    )
