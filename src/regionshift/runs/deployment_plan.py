"""The plan of a deployment in waves: regions, order, releases; and the steps that follow from it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Literal

from pydantic import PlainSerializer, TypeAdapter

from regionshift.errors import InputError, Refused, WorkFailed
from regionshift.runs.state import RunStep
from regionshift.settings.config import MigrationConfig

OnFailure = Literal["rollback", "stop"]
ReleaseMap = Mapping[str, str | None]
"""Region to the digest of its release; None for a region that has none."""
NameSet = Annotated[frozenset[str], PlainSerializer(sorted)]
"""Kept as a sorted list."""


Action = Literal["approve", "apply", "validate", "bake", "links"]


@dataclass(frozen=True)
class Wave:
    """The regions that change together. ``number`` counts from 1, in the settings or on the way back."""

    number: int
    regions: tuple[str, ...]
    approve: bool = False


@dataclass(frozen=True)
class DeploymentPlan:
    """Everything that is decided before the first change. The journal keeps it, so that a resume decides the same.

    Args:
        before: every region of the environment and its release when the deployment began.
        target: the new release of each region of the waves.
        unsettled: regions that an earlier run left between two releases.
        failure_tolerance: how many regions may be down before the deployment fails.
        down: regions that were found down before the deployment began; no wave has them.
        links_first: the links between regions change before the waves (on a way back), not after them.
    """

    before: ReleaseMap
    target: ReleaseMap
    waves: tuple[Wave, ...]
    on_failure: OnFailure = "rollback"
    failure_tolerance: int = 0
    unsettled: NameSet = frozenset()
    links_first: bool = False
    down: NameSet = frozenset()

    def to_json(self) -> dict[str, object]:
        """The plan as plain JSON."""
        content: dict[str, object] = _form().dump_python(self, mode="json")
        return content


@cache
def _form() -> TypeAdapter[DeploymentPlan]:
    return TypeAdapter(DeploymentPlan)


def plan_from_json(content: object) -> DeploymentPlan:
    """Read what :meth:`DeploymentPlan.to_json` wrote. Raises WorkFailed when it cannot be read."""
    try:
        plan = _form().validate_python(content)
        # A missing field has no default, except `down`, which older versions did not write.
        if not isinstance(content, Mapping) or not DeploymentPlan.__dataclass_fields__.keys() <= {
            *content,
            "down",
        }:
            raise ValueError("a part of it is missing")
        return plan
    except ValueError as error:  # pydantic's ValidationError is one
        raise WorkFailed(
            "the deployment's plan in the journal cannot be read",
            remedy="restore the journal's first event",
            error_id="RS-STATE-002",
        ) from error


@dataclass(frozen=True)
class WaveStep(RunStep):
    """One step of a deployment: an action on some regions.

    ``wave`` is None for the links. On the way back ``apply`` gives each region the release that it had before.
    """

    action: Action = field(kw_only=True)
    wave: int | None = None

    @property
    def changes(self) -> bool:
        """Whether the step may change what its regions run."""
        return self.action == "apply"

    @property
    def only_looks(self) -> bool:
        """Whether the step changes nothing at all."""
        return self.action not in ("apply", "links")


def plan_waves(
    config: MigrationConfig,
    current: ReleaseMap,
    target: str,
    *,
    unsettled: Collection[str] = (),
    left_out: Collection[str] = (),
) -> list[Wave]:
    """The waves that bring every region of the settings to ``target``. Regions that have it are left out.

    Without waves in the settings: one canary secondary, the other secondaries, the primary last.

    Args:
        unsettled: regions that change even if they seem to have ``target``.
        left_out: regions that this plan does not change.

    Raises:
        InputError: a region left out is not in the settings, or a region's place in the waves is not unique.
    """
    regions = config.all_regions
    for region in left_out:
        if region not in regions:
            raise InputError(
                f"{region} cannot be skipped: it is not a region of the environment",
                where=region,
                remedy=f"one of {', '.join(regions)}",
                error_id="RS-REGION-001",
            )
    _require_partition(config.waves, regions)
    changing = {
        region
        for region in regions
        if region not in left_out and (current.get(region) != target or region in unsettled)
    }
    waves = [
        Wave(
            number,
            tuple(region for region in wave if region in changing),
            number in config.deployment.approve,
        )
        for number, wave in enumerate(config.waves, start=1)
    ]
    return [wave for wave in waves if wave.regions]


def rollback_plan(
    deployment: DeploymentPlan,
    changed: Collection[str],
    current: ReleaseMap,
    *,
    unsettled: Collection[str] = (),
    to_nothing: bool = False,
) -> DeploymentPlan:
    """The plan that rolls a deployment back, also later and by hand: links first, then the last wave first.

    Args:
        changed: the regions that the deployment changed.
        current: the release of each region now. unsettled: regions between two releases.
        to_nothing: allows the deletion of regions that had no release, with all their data.

    Raises:
        Refused: a region was changed again since, or would go back to nothing without ``to_nothing``.
    """
    going = [region for wave in deployment.waves for region in wave.regions if region in changed]
    for region in going:
        before = deployment.before[region]
        if current.get(region) not in (deployment.target[region], before):
            raise Refused(
                f"{region} was changed again since that deployment",
                where=region,
                remedy="take the later deployments back first, the newest first (regionshift history)",
                error_id="RS-RUN-005",
            )
    new = [
        region
        for region in going
        if deployment.before[region] is None and (current.get(region) is not None or region in unsettled)
    ]
    if new and not to_nothing:
        raise Refused(
            f"{', '.join(new)} had no release before that deployment: going back deletes everything there,"
            " data included",
            where=", ".join(new),
            remedy="add --to-nothing if that is what you want",
            error_id="RS-RUN-006",
        )
    return DeploymentPlan(
        before=dict(current),
        target={region: deployment.before[region] for region in going},
        waves=way_back_waves((wave.regions for wave in reversed(deployment.waves)), going),
        on_failure="stop",
        unsettled=frozenset(unsettled),
        # Links to a region that was removed can only be made after the region is back.
        links_first=all(current.get(region) is not None or region in unsettled for region in going),
    )


def way_back_waves(waves: Iterable[tuple[str, ...]], going: Collection[str]) -> tuple[Wave, ...]:
    """The waves of a way back, in order and numbered from 1. Waves without a region in ``going`` are left out."""
    found = (tuple(region for region in wave if region in going) for wave in waves)
    return tuple(Wave(number, regions) for number, regions in enumerate(filter(None, found), start=1))


def _require_partition(waves: tuple[tuple[str, ...], ...], regions: tuple[str, ...]) -> None:
    named = [region for wave in waves for region in wave]
    if sorted(named) != sorted(regions):
        wrong = {region for region in named if named.count(region) > 1 or region not in regions}
        wrong |= set(regions) - set(named)
        raise InputError(
            f"`deployment.waves` must name each region exactly once; wrong are: {', '.join(sorted(wrong))}",
            where="deployment.waves",
            remedy="name every region of the environment in exactly one wave",
            error_id="RS-SETTINGS-001",
        )


def forward_steps(plan: DeploymentPlan) -> tuple[WaveStep, ...]:
    """Every forward step. Links come last, or first when the plan itself is a way back."""
    waves = tuple(step for wave in plan.waves for step in _wave_steps(wave, plan))
    regions = tuple(region for wave in plan.waves for region in wave.regions)
    if not regions:
        return ()
    links = _step("links", "links", regions)
    if plan.links_first:
        return (links, *waves)
    return (*waves, links, _step("links/validate", "validate", regions))


def backward_steps(plan: DeploymentPlan, began: Collection[str]) -> tuple[WaveStep, ...]:
    """Every step that undoes the steps in ``began``: links first, then the last wave first."""
    reached = [wave for wave in plan.waves if f"wave-{wave.number}/apply" in began]
    steps: list[WaveStep] = []
    if "links" in began:
        steps.append(
            _step("back/links", "links", tuple(r for wave in reached for r in wave.regions), back=True)
        )
    for wave in reversed(reached):
        name = f"back/wave-{wave.number}"
        steps.append(_step(f"{name}/apply", "apply", wave.regions, wave.number, back=True))
        steps.append(_step(f"{name}/validate", "validate", wave.regions, wave.number, back=True))
    return tuple(steps)


def _wave_steps(wave: Wave, plan: DeploymentPlan) -> tuple[WaveStep, ...]:
    name, regions, number = f"wave-{wave.number}", wave.regions, wave.number
    approve = (_step(f"{name}/approve", "approve", regions, number),) if wave.approve else ()
    bake = () if plan.links_first else (_step(f"{name}/bake", "bake", regions, number),)
    return (
        *approve,
        _step(f"{name}/apply", "apply", regions, number),
        _step(f"{name}/validate", "validate", regions, number),
        *bake,
    )


def _step(
    name: str, action: Action, regions: tuple[str, ...], wave: int | None = None, *, back: bool = False
) -> WaveStep:
    return WaveStep(name, back=back, regions=regions, action=action, wave=wave)
