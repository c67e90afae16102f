"""Events of a deployment as its journal has them, and what they add up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from regionshift.runs.deployment_plan import DeploymentPlan
from regionshift.runs.deployment_state import DeploymentState, fold_deployment


@dataclass(frozen=True)
class Told:
    step: str
    phase: str
    data: Mapping[str, object] = field(default_factory=dict)


def fold_of(plan: DeploymentPlan, *events: Told) -> DeploymentState:
    """Where a deployment of ``plan`` stands after its events."""
    return fold_deployment([Told("run", "before", {"plan": plan.to_json()}), *events])
