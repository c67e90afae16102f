"""One environment as operations see it: settings, engine, clients and the program, put together elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from regionshift.aws.clients import Clients
from regionshift.engine.engine import Engine, Program
from regionshift.engine.state_exclusion import StateExclusion
from regionshift.settings.config import MigrationConfig
from regionshift.settings.deployment import Deployment
from regionshift.settings.release import Release


class ProgramFactory(Protocol):
    """Turns {region: release} into what the engine runs."""

    def __call__(
        self,
        releases: Mapping[str, Release],
        *,
        links: Release | Literal["newest"] | None = "newest",
        allow_data_loss: bool = False,
    ) -> Program:
        """The program that builds every region at its release, with the links that ``links`` describes.

        ``newest`` stands for the release that the settings describe, None for no links.
        """


def everything_of(regions: Collection[str], *, links: bool = False) -> StateExclusion:
    """All resources and outputs of ``regions``, and with ``links`` what joins regions.

    Outputs of a region end in its name, with underscores.
    """
    ordered = sorted(regions)
    resources = [f"urn:pulumi:*::*-{region}" for region in ordered]
    return StateExclusion(
        (*resources, *(["urn:pulumi:*::regionshift:infrastructure:Links*"] if links else [])),
        tuple(f"_{region.replace('-', '_')}" for region in ordered),
    )


def without_regions(config: MigrationConfig, regions: Collection[str]) -> MigrationConfig:
    """The settings as if the secondaries among ``regions`` were not named, not in the waves either."""
    gone = {region for region in config.regions.secondaries if region in regions}
    if not gone:
        return config
    rest = tuple(region for region in config.regions.secondaries if region not in gone)
    regions_left = config.regions.model_copy(update={"secondaries": rest})
    return config.model_copy(
        update={"regions": regions_left, "deployment": _without_waves(config.deployment, gone)}
    )


def _without_waves(deployment: Deployment, gone: Collection[str]) -> Deployment:
    """Waves without what is gone; one that is empty then goes too, and ``approve`` means the same waves as before."""
    if not deployment.waves:
        return deployment
    numbered = enumerate(deployment.waves, start=1)
    left = [(number, tuple(region for region in wave if region not in gone)) for number, wave in numbered]
    left = [(number, wave) for number, wave in left if wave]
    approve = [place for place, (number, _) in enumerate(left, start=1) if number in deployment.approve]
    waves = tuple(wave for _, wave in left)
    return deployment.model_copy(update={"waves": waves, "approve": tuple(approve)})


@dataclass(frozen=True)
class Environment:
    """Everything an operation needs. ``program`` turns {region: release} into what the engine runs.

    Args:
        skipped: regions that get no call at all in this run.
        fenced: those of them that were lost and are no part of the environment until they rejoin.
    """

    config: MigrationConfig
    clients: Clients
    engine: Engine
    program: ProgramFactory
    release: Callable[[], Release]
    state_dir: Path
    now: Callable[[], datetime]
    skipped: frozenset[str] = frozenset()
    fenced: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """What a person calls it and types to confirm."""
        return self.config.suffix

    @property
    def regions(self) -> tuple[str, ...]:
        """The primary first; without those that get no call at all in this run."""
        return tuple(region for region in self.config.all_regions if region not in self.skipped)

    @property
    def reachable(self) -> MigrationConfig:
        """The settings as checks may read them: a region that gets no call is no secondary."""
        return without_regions(self.config, self.skipped)

    @property
    def left_out(self) -> frozenset[str]:
        """Regions of the environment that get no call: nothing that refers to them can be changed either."""
        return self.skipped - self.fenced

    @property
    def excluded(self) -> StateExclusion:
        """What the engine is not to know of: all of skipped regions, and what joins them to others."""
        found = everything_of(self.skipped, links=bool(self.left_out))
        if self.config.regions.primary not in self.skipped:
            return found
        return StateExclusion(found.resources, (*found.outputs, "_primary"))

    def leaving_out(self, regions: Collection[str]) -> Environment:
        """The same, with no call to ``regions`` either."""
        return replace(self, skipped=self.skipped | frozenset(regions))

    def without_lost(self, regions: Collection[str]) -> Environment:
        """The same, with no call to ``regions``, which are given up: what joins the others can be changed."""
        return replace(self.leaving_out(regions), fenced=self.fenced | frozenset(regions))

    def called_everywhere(self) -> Environment:
        """The same with calls to every region that is not fenced."""
        return replace(self, skipped=self.fenced)

    def same_everywhere(self, release: Release) -> dict[str, Release]:
        """The release map in which every region runs ``release``."""
        return dict.fromkeys(self.regions, release)
