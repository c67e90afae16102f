"""The places that migrations into one region may read and write: those under ``carry``, and the deployment bucket.

The bounds are checked each time a record is used, because ``carry`` may have changed since the migration was planned.
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
class Route:
    """From one place to another, by their prefixes. ``tags`` select secrets without a name."""

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
    """The routes that migrations may use.

    Args:
        bucket: the deployment bucket, where the records are.
    """

    bucket: str
    routes: tuple[Route, ...]

    def require(self, entries: Iterable[Entry], migration_id: str) -> None:
        """Check that each entry is one of the routes, or a part of one.

        Raises:
            OutOfBounds: one is not.
        """
        for entry in entries:
            if not any(_is_within(entry, route) for route in self.routes):
                raise OutOfBounds(
                    f"{entry.kind}: {entry.source} to {entry.target}", f"migration {migration_id}"
                )

    def require_items(self, entry: Entry, items: Sequence[Item], migration_id: str) -> None:
        """Check that the entry selects each item, and that no item is one of the program's own objects.

        Raises:
            OutOfBounds: an item fails the check.
        """
        selects = selector(entry)
        for item in items:
            key = entry.target.prefix + item.key
            own = entry.target.bucket == self.bucket and key.startswith(PROGRAMS_OWN)
            if own or not selects(item.key):
                raise OutOfBounds(f"{entry.target}{item.key}", f"migration {migration_id}")


def own_bucket(region: str, bucket: str) -> Route:
    """Return the route within the deployment bucket, where the function copies without ``carry``."""
    return Route("s3", DataLocation(region, bucket), DataLocation(region, bucket))


def between(pattern: Route, source: str, target: str, buckets: Mapping[str, str]) -> Route:
    """Return the route of one entry of ``carry`` from one region to another.

    Args:
        pattern: the entry, as in the settings. ``{region}`` stands for the region in names of buckets, paths and
            secrets. Objects without a bucket are in the deployment bucket.
        buckets: the deployment bucket of each region.
    """

    def placed(end: DataLocation, region: str) -> DataLocation:
        if KINDS[pattern.kind].in_buckets:
            return replace(
                end, region=region, bucket=end.bucket.replace("{region}", region) or buckets[region]
            )
        return replace(end, region=region, prefix=end.prefix.replace("{region}", region))

    return replace(pattern, source=placed(pattern.source, source), target=placed(pattern.target, target))


def routes_into(region: str, patterns: Iterable[Route], buckets: Mapping[str, str]) -> tuple[Route, ...]:
    """Return the routes of all patterns into ``region`` from each region in ``buckets``; see ``between``."""
    return tuple(between(pattern, source, region, buckets) for pattern in patterns for source in buckets)


def _is_within(entry: Entry, route: Route) -> bool:
    return (
        entry.kind == route.kind
        and dict(entry.tags) == dict(route.tags)
        and _begins(entry.source, route.source)
        and _begins(entry.target, route.target)
    )


def _begins(place: DataLocation, route: DataLocation) -> bool:
    same = (place.region, place.bucket, place.account) == (route.region, route.bucket, route.account)
    return same and place.prefix.startswith(route.prefix)
