"""One environment as operations see it: settings, engine, clients and program. `session.py` puts them together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from regionshift.aws.clients import Clients
from regionshift.engine.engine import Engine, Program
from regionshift.engine.state_exclusion import StateExclusion
from regionshift.errors import WorkFailed
from regionshift.settings.config import Deployment, MigrationConfig
from regionshift.settings.release import Release
from regionshift.waiting import AT_ONCE, Waiter


def region_key(region: str) -> str:
    """A region in the name of an output: ``eu_west_1``."""
    return region.replace("-", "_")


@dataclass(frozen=True)
class Outputs:
    """The environment's outputs, by name and region."""

    values: Mapping[str, Any]

    def get(self, name: str, region: str) -> str:
        """The output ``name`` of ``region``.

        Raises:
            WorkFailed: there is no such output, as the environment is not (wholly) up.
        """
        key = f"{name}_{region_key(region)}"
        value = self.values.get(key)
        if not isinstance(value, str) or not value:
            raise WorkFailed(
                f"The environment has no output {key}.",
                where=region,
                remedy="run `regionshift up`; it goes on from what is there",
                error_id="RS-ENVIRONMENT-001",
            )
        return value

    def regions(self, name: str) -> tuple[str, ...]:
        """The regions that have the output ``name``: those that are up."""
        found = (key.removeprefix(f"{name}_") for key in self.values if key.startswith(f"{name}_"))
        return tuple(key.replace("_", "-") for key in found if key != "primary")


@dataclass(frozen=True)
class RegionScope:
    """The regions that get no call in this run, by reason. A region may have several reasons.

    Args:
        skipped: left out by --skip-region, or by the deployment that is continued or rolled back.
        down: they do not answer, and the settings tolerate that.
        fenced: they were lost, and do not belong to the environment until they rejoin.
    """

    skipped: frozenset[str] = frozenset()
    down: frozenset[str] = frozenset()
    fenced: frozenset[str] = frozenset()

    @property
    def uncalled(self) -> frozenset[str]:
        """Every region that gets no call."""
        return self.skipped | self.down | self.fenced

    @property
    def left_out(self) -> frozenset[str]:
        """Uncalled regions that still belong to the environment. Resources that refer to them cannot change either."""
        return (self.skipped | self.down) - self.fenced

    def called(self, regions: Iterable[str]) -> tuple[str, ...]:
        """The called regions among ``regions``, in their order."""
        return tuple(region for region in regions if region not in self.uncalled)

    def without(self, *, down: Collection[str] = (), fenced: Collection[str] = ()) -> RegionScope:
        """The same scope, without calls to these regions too."""
        return RegionScope(self.skipped, self.down.union(down), self.fenced.union(fenced))

    def state_exclusion(self, primary: str) -> StateExclusion:
        """What the engine must not see: uncalled regions, and the links when a region is left out."""
        found = everything_of(self.uncalled, links=bool(self.left_out))
        if primary not in self.uncalled:
            return found
        return StateExclusion(found.resources, (*found.outputs, "_primary"))


def everything_of(regions: Collection[str], *, links: bool = False) -> StateExclusion:
    """All resources and outputs of ``regions``, and with ``links`` also the links.

    The name of an output ends with its region, with underscores.
    """
    ordered = sorted(regions)
    resources = [f"urn:pulumi:*::*-{region}" for region in ordered]
    return StateExclusion(
        (*resources, *(["urn:pulumi:*::regionshift:infrastructure:Links*"] if links else [])),
        tuple(f"_{region.replace('-', '_')}" for region in ordered),
    )


def without_regions(config: MigrationConfig, regions: Collection[str]) -> MigrationConfig:
    """The settings without the secondaries among ``regions``, also in the waves."""
    dropped = {region for region in config.regions.secondaries if region in regions}
    if not dropped:
        return config
    rest = tuple(region for region in config.regions.secondaries if region not in dropped)
    return config.model_copy(
        update={
            "regions": config.regions.model_copy(update={"secondaries": rest}),
            "deployment": _without_waves(config.deployment, dropped),
        }
    )


def _without_waves(deployment: Deployment, dropped: Collection[str]) -> Deployment:
    """The waves without ``dropped`` and without empty waves. ``approve`` names the same waves as before."""
    if not deployment.waves:
        return deployment
    numbered = enumerate(deployment.waves, start=1)
    left = [(number, tuple(region for region in wave if region not in dropped)) for number, wave in numbered]
    left = [(number, wave) for number, wave in left if wave]
    approve = [place for place, (number, _) in enumerate(left, start=1) if number in deployment.approve]
    waves = tuple(wave for _, wave in left)
    return deployment.model_copy(update={"waves": waves, "approve": tuple(approve)})


class ProgramFactory(Protocol):
    """Makes the program that the engine runs from {region: release}."""

    def __call__(
        self,
        releases: Mapping[str, Release],
        *,
        links: Release | Literal["newest"] | None = "newest",
        allow_data_loss: bool = False,
    ) -> Program:
        """The program that builds every region at its release, and the links of the release ``links``.

        ``newest``: the release of the settings. None: no links.
        """


@dataclass(frozen=True)
class Environment:
    """Everything that an operation needs.

    ``scope``: which regions get no call in this run, and why. ``waiter``: for answers that may be stale.
    """

    config: MigrationConfig
    clients: Clients
    engine: Engine
    program: ProgramFactory
    release: Callable[[], Release]
    state_dir: Path
    now: Callable[[], datetime]
    scope: RegionScope = field(default_factory=RegionScope)
    waiter: Waiter = AT_ONCE

    @property
    def name(self) -> str:
        """The name that a person types to confirm."""
        return self.config.suffix

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that are called, the primary first."""
        return self.scope.called(self.config.all_regions)

    @property
    def called_config(self) -> MigrationConfig:
        """The settings for checks, without the secondaries that get no call."""
        return without_regions(self.config, self.scope.uncalled)

    @property
    def excluded(self) -> StateExclusion:
        """What the engine must not see in this run."""
        return self.scope.state_exclusion(self.config.regions.primary)

    def without(self, *, down: Collection[str] = (), fenced: Collection[str] = ()) -> Environment:
        """The same environment, without calls to these regions too."""
        return replace(self, scope=self.scope.without(down=down, fenced=fenced))

    def calling_left_out(self) -> Environment:
        """The same environment, with calls to every region that is not fenced."""
        return replace(self, scope=RegionScope(fenced=self.scope.fenced))

    def same_everywhere(self, release: Release) -> dict[str, Release]:
        """{region: ``release``} for every called region."""
        return dict.fromkeys(self.regions, release)
