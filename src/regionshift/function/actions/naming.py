"""What a migration may touch: the region's own deployment bucket, and beyond it what the settings name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regionshift.carriers.carrier import Place
from regionshift.carriers.records import OWNED
from regionshift.function.configuration import Configuration
from regionshift.function.request import Place as Asked
from regionshift.function.request import RefusedError


@dataclass(frozen=True)
class Own:
    """Where the function is: its region and its deployment bucket."""

    region: str
    bucket: str

    def has(self, place: Place) -> bool:
        """Whether the place is in the own bucket."""
        return place.bucket == self.bucket


def is_own(own: Own, asked: Asked) -> bool:
    """Whether the request names nothing beyond the own bucket."""
    return asked.bucket in (None, own.bucket) and asked.region in (None, own.region)


def in_own_bucket(own: Own, asked: Asked, end: str) -> Place:
    """The place in the own bucket.

    Raises:
        RefusedError: 403, it is where the program keeps its records.
    """
    prefix = asked.prefix or ""
    if prefix.startswith(OWNED):
        raise _not_named(f"{end}.prefix {prefix!r} holds the program's own records")
    return Place(own.region, own.bucket, prefix)


def named_source(own: Own, asked: Asked, configuration: Configuration) -> Place:
    """A source beyond the own bucket.

    Raises:
        RefusedError: 400, no such region; 403, the settings do not name it.
    """
    buckets = configuration.deployment_buckets
    if asked.region is not None and asked.region not in {own.region, *buckets}:
        raise RefusedError(
            400, "InvalidField", f"source.region {asked.region!r} is no region of the environment."
        )
    prefix = asked.prefix or ""
    for region in [asked.region] if asked.region else [own.region, *buckets]:
        deployment = own.bucket if region == own.region else buckets.get(region, "")
        wanted = asked.bucket or deployment
        for entry in configuration.carry:
            bucket = entry.get("bucket", "").replace("{region}", region) or deployment
            if wanted == bucket and prefix.startswith(entry.get("prefix", "")):
                return Place(region, bucket, prefix)
    raise _not_named(f"the source {asked.bucket or asked.region}/{prefix} is not named under carry")


def named_target(own: Own, asked: Asked, configuration: Configuration) -> Place:
    """A target beyond the own bucket, in the own region.

    Raises:
        RefusedError: 400, another region; 403, the settings do not name it.
    """
    if asked.region not in (None, own.region):
        raise RefusedError(
            400,
            "InvalidField",
            f"target.region must be {own.region}: each region's function writes to its own.",
        )
    prefix = asked.prefix or ""
    place = Place(own.region, asked.bucket or "", prefix)
    if _entry_of(own, place, configuration) is not None:
        return place
    raise _not_named(f"the target {asked.bucket}/{prefix} is not named under carry")


def key_of(own: Own, target: Place, configuration: Configuration) -> str | None:
    """The key that the settings name for what is written there; None for the bucket's own encryption."""
    name = (_entry_of(own, target, configuration) or {}).get("kms_key")
    return name.replace("{region}", own.region) if name else None


def _entry_of(own: Own, target: Place, configuration: Configuration) -> Mapping[str, str] | None:
    """The entry of the settings that names the target."""
    for entry in configuration.carry:
        pattern = entry.get("target_bucket") or entry.get("bucket", "")
        bucket = pattern.replace("{region}", own.region) or own.bucket
        begins = entry.get("target_prefix", entry.get("prefix", ""))
        if target.bucket == bucket and target.prefix.startswith(begins):
            return entry
    return None


def require_writable(own: Own, target: Place, configuration: Configuration) -> None:
    """The worker, unlike the function, writes only to named prefixes, of the own bucket too.

    Raises:
        RefusedError: 403.
    """
    named_target(own, Asked(bucket=target.bucket, prefix=target.prefix), configuration)


def _not_named(what: str) -> RefusedError:
    return RefusedError(403, "NotNamed", f"{what[0].upper()}{what[1:]}: nothing else may be read or written.")
