"""The releases of one environment: keep the new one, load an old one, and which one each region runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from pydantic import ValidationError

from regionshift.errors import Refused, RegionshiftError
from regionshift.journal.journal import Journal
from regionshift.journal.releases import ReleaseRecord, ReleaseStore
from regionshift.runs.deployment_state import RegionState, regions_from_result
from regionshift.settings.config import MigrationConfig, Regions
from regionshift.settings.release import Release, config_of


def program_digest() -> str:
    """SHA-256 (hex) over the source of the Pulumi program: equal programs make equal resources of a release."""
    digest = hashlib.sha256()
    for name, source in _sources(files("regionshift.infrastructure"), ""):
        digest.update(f"{name} {len(source)}\n".encode())
        digest.update(source)
    return digest.hexdigest()


def _sources(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _sources(entry, f"{path}{entry.name}/")
        elif entry.name.endswith(".py"):
            yield path + entry.name, entry.read_bytes()


@dataclass
class ReleaseCatalog:
    """Kept releases by digest.

    Args:
        current: today's settings, for what is not part of a release. cache: the folder for artifacts.
        by: who makes releases now. now: the time, with a zone.
        keeping: called before a release is kept; it keeps what else the environment is made with.
    """

    store: ReleaseStore
    current: MigrationConfig
    cache: Path
    by: str
    now: Callable[[], datetime]
    program: str = field(default_factory=program_digest)
    keeping: Callable[[], None] = lambda: None
    _taken: dict[str, Release] = field(default_factory=dict, repr=False)

    def keep(self, release: Release, previous: str | None) -> ReleaseRecord:
        """Record ``release`` before a region runs it. One that is kept already does not change.

        Raises what ``keeping`` raises.
        """
        self.keeping()
        self.add_unsaved(release)
        return self.store.record(release, at=self.now(), by=self.by, program=self.program, previous=previous)

    def add_unsaved(self, release: Release) -> None:
        """Let this command `take` the release without keeping it: a plan changes nothing."""
        self._taken[release.digest] = release

    def take(self, digest: str) -> Release:
        """Load the kept release, ready to apply.

        Raises:
            Refused: another version of the program made it; the error names the version that is needed.
            InputError, StateDamaged: it is not kept, or its record was changed.
        """
        if digest not in self._taken:
            self._taken[digest] = self.store.load(digest, self.current, self.cache, self.program)
        return self._taken[digest]

    def take_or(self, digest: str, stand_in: Callable[[], Release]) -> Release:
        """The kept release; ``stand_in`` when another program made it, for regions that the engine may not change."""
        try:
            return self.take(digest)
        except Refused:
            return stand_in()

    def known_regions(self, digest: str) -> Regions | None:
        """The primary and secondaries of a kept release, of any program; None when they cannot be read."""
        return known_regions(self.store, digest, self.current)


def known_regions(store: ReleaseStore, digest: str, current: MigrationConfig) -> Regions | None:
    """See `ReleaseCatalog.known_regions`, and ``current`` there."""
    try:
        return config_of(store.find(digest).content, current).regions
    except (ValidationError, TypeError, RegionshiftError):
        return None


@dataclass(frozen=True)
class DeployedReleases:
    """The release of each region and of the links, and the run that brought them there."""

    regions: Mapping[str, RegionState] = field(default_factory=dict)
    links: str | None = None
    run_id: str | None = None

    @property
    def releases(self) -> dict[str, str | None]:
        """The digest of each region's release."""
        return {region: state.release for region, state in self.regions.items()}

    @property
    def regions_up(self) -> tuple[str, ...]:
        """The regions that have a release, and so a topic for messages."""
        return tuple(region for region, state in self.regions.items() if state.release is not None)

    @property
    def unsettled(self) -> frozenset[str]:
        """Regions that a run left between two releases."""
        return frozenset(region for region, state in self.regions.items() if not state.settled)

    @property
    def is_empty(self) -> bool:
        """Whether no region has a release."""
        return not self.regions_up


def deployed_releases(journal: Journal) -> DeployedReleases:
    """What each region runs now, by the journal. Empty before the first deployment and after a destroy.

    The result of a finished run names all regions, so the newest result counts.
    """
    for run in journal.history():
        if run.kind == "destroy":
            return DeployedReleases()
        regions = regions_from_result(run.result)
        if regions:
            links = run.result.get("links")
            return DeployedReleases(regions, str(links) if links else None, run.run_id)
        if run.kind == "deployment" and run.outcome == "succeeded":
            releases = journal.view(run.run_id).opened.get("releases")
            if isinstance(releases, dict) and releases:
                return _of_one_go(releases, run.run_id)
    return DeployedReleases()


def _of_one_go(releases: Mapping[str, str], run_id: str) -> DeployedReleases:
    """After a run that brought all regions and the links to one release."""
    regions = {region: RegionState(digest) for region, digest in releases.items()}
    return DeployedReleases(regions, next(iter(releases.values())), run_id)
