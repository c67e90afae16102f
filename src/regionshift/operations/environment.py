"""One environment as operations see it: settings, engine, clients and the program, put together elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from regionshift.aws.clients import Clients
from regionshift.engine.engine import Engine, Program
from regionshift.settings.config import MigrationConfig
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


def everything_of(regions: Collection[str]) -> list[str]:
    """The engine's patterns for all resources of ``regions``."""
    return [f"urn:pulumi:**::*-{region}" for region in sorted(regions)]


def without_regions(config: MigrationConfig, regions: Collection[str]) -> MigrationConfig:
    """The settings as if the secondaries among ``regions`` were not named."""
    rest = tuple(region for region in config.regions.secondaries if region not in regions)
    if rest == config.regions.secondaries:
        return config
    return config.model_copy(update={"regions": config.regions.model_copy(update={"secondaries": rest})})


@dataclass(frozen=True)
class Environment:
    """Everything an operation needs. ``program`` turns {region: release} into what the engine runs."""

    config: MigrationConfig
    clients: Clients
    engine: Engine
    program: ProgramFactory
    release: Callable[[], Release]
    state_dir: Path
    now: Callable[[], datetime]
    skipped: frozenset[str] = frozenset()

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
    def left_alone(self) -> dict[str, list[str]]:
        """The engine's option that leaves everything of skipped regions as the state has it, if there are any."""
        return {"exclude": everything_of(self.skipped)} if self.skipped else {}

    def same_everywhere(self, release: Release) -> dict[str, Release]:
        """The release map in which every region runs ``release``."""
        return dict.fromkeys(self.regions, release)
