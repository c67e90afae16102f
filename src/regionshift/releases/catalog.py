"""The releases of one environment, as deployments need them: keep the new one, take an old one down."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from pydantic import ValidationError

from regionshift.errors import Refused, RegionshiftError
from regionshift.journal.releases import ReleaseRecord, ReleaseStore
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
        current: today's settings, for what is no part of a release. cache: where artifacts are put.
        by: who makes releases now. now: the time, with a zone.
    """

    store: ReleaseStore
    current: MigrationConfig
    cache: Path
    by: str
    now: Callable[[], datetime]
    program: str = field(default_factory=program_digest)
    _taken: dict[str, Release] = field(default_factory=dict, repr=False)

    def keep(self, release: Release, previous: str | None) -> ReleaseRecord:
        """Record ``release`` before anything runs it; one that is kept already stays as it was."""
        self.add_unsaved(release)
        return self.store.record(release, at=self.now(), by=self.by, program=self.program, previous=previous)

    def add_unsaved(self, release: Release) -> None:
        """Let ``release`` be taken by this command without keeping it: for a plan, which changes nothing."""
        self._taken[release.digest] = release

    def take(self, digest: str) -> Release:
        """The kept release, ready to be applied.

        Raises:
            Refused: another version of the program made it; the error names the version that is needed.
            InputError, StateDamaged: it is not kept, or not as it was written.
        """
        if digest not in self._taken:
            self._taken[digest] = self.store.load(digest, self.current, self.cache, self.program)
        return self._taken[digest]

    def take_or(self, digest: str, stand_in: Callable[[], Release]) -> Release:
        """The kept release, or ``stand_in`` where another program made it: for what the engine may not change."""
        try:
            return self.take(digest)
        except Refused:
            return stand_in()

    def known_regions(self, digest: str) -> Regions | None:
        """Primary and secondaries of a kept release, whichever program made it; None when they cannot be read."""
        try:
            return config_of(self.store.find(digest).content, self.current).regions
        except (ValidationError, TypeError, RegionshiftError):
            return None
