"""One environment as operations see it: settings, engine, clients and the program, put together elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from regionshift.aws.clients import Clients
from regionshift.engine.engine import Engine, Program
from regionshift.engine.state_exclusion import StateExclusion
from regionshift.operations.region_scope import RegionScope, without_regions
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


@dataclass(frozen=True)
class Environment:
    """Everything an operation needs. ``program`` turns {region: release} into what the engine runs.

    ``scope``: which regions get no call in this run, and why.
    """

    config: MigrationConfig
    clients: Clients
    engine: Engine
    program: ProgramFactory
    release: Callable[[], Release]
    state_dir: Path
    now: Callable[[], datetime]
    scope: RegionScope = field(default_factory=RegionScope)

    @property
    def name(self) -> str:
        """What a person calls it and types to confirm."""
        return self.config.suffix

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that are called, the primary first."""
        return self.scope.called(self.config.all_regions)

    @property
    def called_config(self) -> MigrationConfig:
        """The settings as checks may read them: a region that gets no call is no secondary."""
        return without_regions(self.config, self.scope.uncalled)

    @property
    def excluded(self) -> StateExclusion:
        """What the engine is not to know of in this run."""
        return self.scope.state_exclusion(self.config.regions.primary)

    def without(self, *, down: Collection[str] = (), fenced: Collection[str] = ()) -> Environment:
        """The same, with no call to these regions either."""
        return replace(self, scope=self.scope.without(down=down, fenced=fenced))

    def calling_left_out(self) -> Environment:
        """The same with calls to every region that is not fenced."""
        return replace(self, scope=RegionScope(fenced=self.scope.fenced))

    def same_everywhere(self, release: Release) -> dict[str, Release]:
        """The release map in which every region that is called runs ``release``."""
        return dict.fromkeys(self.regions, release)
