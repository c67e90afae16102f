"""What migrations of one target region may touch today: what ``carry`` names, and the deployment bucket in itself.

Asked again when a record is acted on: ``carry`` may have changed since the migration was planned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from regionshift.carriers.carrier import DataLocation, Entry, Item
from regionshift.carriers.kinds import KINDS
from regionshift.carriers.records import PROGRAMS_OWN
from regionshift.carriers.selection import selector
from regionshift.errors import Refused


@dataclass(frozen=True)
class Way:
    """From one place to another, and whatever begins like them; ``tags`` select secrets that have no name."""

    kind: str
    source: DataLocation
    target: DataLocation
    tags: Mapping[str, str] = field(default_factory=dict)


class OutOfBounds(Refused):
    """A migration names what today's settings do not."""

    error_id = "RS-CARRY-010"

    def __init__(self, what: str, where: str) -> None:
        super().__init__(
            f"`carry` does not name {what} any more, so nothing was done there.",
            where=where,
            remedy="name it under `carry` in the settings again, then: regionshift up",
        )


@dataclass(frozen=True)
class Bounds:
    """The ways that may be gone.

    Args:
        bucket: the deployment bucket, which has the records.
    """

    bucket: str
    ways: tuple[Way, ...]

    def require(self, entries: Iterable[Entry], migration_id: str) -> None:
        """See that every entry is one of the ways, or a part of one.

        Raises:
            OutOfBounds: one is not.
        """
        for entry in entries:
            if not any(_is_within(entry, way) for way in self.ways):
                raise OutOfBounds(
                    f"{entry.kind}: {entry.source} to {entry.target}", f"migration {migration_id}"
                )

    def require_items(self, entry: Entry, items: Sequence[Item], migration_id: str) -> None:
        """See that a batch holds what its entry selects, and nothing where the program keeps its own.

        Raises:
            OutOfBounds: it holds something else.
        """
        selects = selector(entry)
        for item in items:
            key = entry.target.prefix + item.key
            own = entry.target.bucket == self.bucket and key.startswith(PROGRAMS_OWN)
            if own or not selects(item.key):
                raise OutOfBounds(f"{entry.target}{item.key}", f"migration {migration_id}")


def own_bucket(region: str, bucket: str) -> Way:
    """Within the deployment bucket, which the function copies in by itself."""
    return Way("s3", DataLocation(region, bucket), DataLocation(region, bucket))


def between(pattern: Way, source: str, target: str, buckets: Mapping[str, str]) -> Way:
    """One entry of ``carry`` from one region to another.

    Args:
        pattern: the entry as the settings have it: without regions, for which ``{region}`` stands in the names of
            buckets, paths and secrets; objects without a bucket are the deployment bucket's.
        buckets: the deployment buckets of the regions.
    """

    def placed(end: DataLocation, region: str) -> DataLocation:
        if KINDS[pattern.kind].in_buckets:
            return replace(
                end, region=region, bucket=end.bucket.replace("{region}", region) or buckets[region]
            )
        return replace(end, region=region, prefix=end.prefix.replace("{region}", region))

    return replace(pattern, source=placed(pattern.source, source), target=placed(pattern.target, target))


def ways_into(region: str, patterns: Iterable[Way], buckets: Mapping[str, str]) -> tuple[Way, ...]:
    """What entries of ``carry`` name into ``region``, each from every region of ``buckets``; see ``between``."""
    return tuple(between(pattern, source, region, buckets) for pattern in patterns for source in buckets)


def _is_within(entry: Entry, way: Way) -> bool:
    return (
        entry.kind == way.kind
        and dict(entry.tags) == dict(way.tags)
        and _begins(entry.source, way.source)
        and _begins(entry.target, way.target)
    )


def _begins(place: DataLocation, way: DataLocation) -> bool:
    same = (place.region, place.bucket, place.account) == (way.region, way.bucket, way.account)
    return same and place.prefix.startswith(way.prefix)
