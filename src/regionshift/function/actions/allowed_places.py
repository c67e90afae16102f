"""The places that a migration may use: the region's deployment bucket, and the places under ``carry``."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass, replace

from regionshift.carriers.bounds import Route, routes_into
from regionshift.carriers.carrier import DataLocation, Entry
from regionshift.carriers.records import PROGRAMS_OWN
from regionshift.carriers.selection import selector
from regionshift.function.configuration import CarriedObjects, FunctionConfiguration
from regionshift.function.request import FunctionRequest, RefusedError
from regionshift.function.request import MigrationEnd as Asked


@dataclass(frozen=True)
class Own:
    """The function's region and deployment bucket."""

    region: str
    bucket: str


def is_own(own: Own, asked: Asked) -> bool:
    """Whether one end of the request is in the own deployment bucket."""
    return asked.bucket in (None, own.bucket) and asked.region in (None, own.region)


def own_entry(own: Own, request: FunctionRequest) -> Entry | None:
    """Return the entry for a copy within the own bucket; None when the request names nothing to carry.

    Raises:
        RefusedError: 400, source and target are the same place, or a key is not under the source; 403, one of them
            is a prefix of the program's own objects.
    """
    source = _in_own_bucket(own, request.source, "source")
    target = _in_own_bucket(own, request.target, "target")
    if source == target and not request.keys and not _names_anything(request):
        return None
    _require_two(source, target)
    return _only(Entry("s3", source, target, owned=PROGRAMS_OWN), request.keys)


def named_entry(own: Own, request: FunctionRequest, configuration: FunctionConfiguration) -> Entry:
    """Return the part of an entry of ``carry`` that the request asks for, with that entry's options.

    Raises:
        RefusedError: 400, no such region, the same place, or a key is not under the source; 403, no entry of
            ``carry`` names both ends, or the entry excludes a key.
    """
    _require_regions(own, request, configuration)
    routes = [
        (
            carry,
            list(_sources(own, carry, request.source, configuration)),
            _target(own, carry, request.target, configuration),
        )
        for carry in configuration.carry
    ]
    for carry, sources, target in routes:
        if sources and target is not None:
            return _of_entry(own, carry, (sources[0], target), request.keys, configuration)
    source, target_asked = request.source, request.target
    if not any(sources for _, sources, _ in routes):
        raise _not_named(f"the source {source.bucket or source.region or own.bucket}/{source.prefix or ''}")
    if all(target is None for _, _, target in routes):
        raise _not_named(f"the target {target_asked.bucket or own.bucket}/{target_asked.prefix or ''}")
    raise _not_named("the source with this target")


def routes(own: Own, configuration: FunctionConfiguration) -> tuple[Route, ...]:
    """Return all routes of ``carry`` into this region."""
    return tuple(route for carry in configuration.carry for route in _routes(own, carry, configuration))


def _in_own_bucket(own: Own, asked: Asked, end: str) -> DataLocation:
    prefix = asked.prefix or ""
    if prefix.startswith(PROGRAMS_OWN):
        raise RefusedError(
            403, "NotNamed", f"{end}.prefix {prefix!r} has the program's own objects, which are not carried."
        )
    return DataLocation(own.region, own.bucket, prefix)


def _names_anything(request: FunctionRequest) -> bool:
    return any(
        field is not None
        for asked in (request.source, request.target)
        for field in (asked.bucket, asked.prefix, asked.region)
    )


def _require_regions(own: Own, request: FunctionRequest, configuration: FunctionConfiguration) -> None:
    region = request.source.region
    if region is not None and region not in {own.region, *configuration.deployment_buckets}:
        raise RefusedError(
            400, "InvalidField", f"source.region {region!r} is not a region of the environment."
        )
    if request.target.region not in (None, own.region):
        raise RefusedError(
            400,
            "InvalidField",
            f"target.region must be {own.region}: each region's function writes to its own region.",
        )


def _routes(own: Own, carry: CarriedObjects, configuration: FunctionConfiguration) -> tuple[Route, ...]:
    """Return the routes of one entry into this region; the one from this region comes first."""
    named = configuration.deployment_buckets.items()
    others = {region: bucket for region, bucket in named if bucket and region != own.region}
    return routes_into(own.region, [carry.pattern], {own.region: own.bucket, **others})


def _sources(
    own: Own, carry: CarriedObjects, asked: Asked, configuration: FunctionConfiguration
) -> Iterator[DataLocation]:
    """Yield the sources of the entry that fit the request; the own region comes first."""
    for route in _routes(own, carry, configuration):
        named = asked.bucket or _deployment(own, route.source.region, configuration)
        if asked.region in (None, route.source.region) and named == route.source.bucket:
            yield from _below(route.source, asked)


def _target(
    own: Own, carry: CarriedObjects, asked: Asked, configuration: FunctionConfiguration
) -> DataLocation | None:
    target = _routes(own, carry, configuration)[0].target
    return next(_below(target, asked), None) if (asked.bucket or own.bucket) == target.bucket else None


def _below(end: DataLocation, asked: Asked) -> Iterator[DataLocation]:
    """Yield the requested place, when it is ``end`` or a part of it."""
    prefix = asked.prefix or ""
    if prefix.startswith(end.prefix):
        yield replace(end, prefix=prefix)


def _of_entry(
    own: Own,
    carry: CarriedObjects,
    ends: tuple[DataLocation, DataLocation],
    keys: tuple[str, ...],
    configuration: FunctionConfiguration,
) -> Entry:
    source, target = ends
    _require_two(source, target)
    is_deployment = source.bucket == _deployment(own, source.region, configuration)
    entry = Entry(
        "s3",
        source,
        target,
        include=carry.include,
        exclude=carry.exclude,
        history=carry.keep_versions,
        storage_class=carry.storage_class,
        kms_key=carry.kms_key.replace("{region}", own.region) or None,
        owned=PROGRAMS_OWN if is_deployment else (),
        # Patterns apply to keys without the entry's prefix.
        within=source.prefix[len(carry.prefix) :],
    )
    return _only(entry, keys)


def _only(entry: Entry, keys: tuple[str, ...]) -> Entry:
    """Return the entry with only these whole keys."""
    prefix, selects = entry.source.prefix, selector(entry)
    for key in keys:
        if not key.startswith(prefix):
            raise RefusedError(400, "InvalidField", f"source.keys: {key} is not under {prefix!r}.")
        if not selects(key.removeprefix(prefix)):
            raise _not_named(f"source.keys: {key}")
    if not keys:
        return entry
    # Escaped, so that each pattern matches only its key.
    return replace(entry, include=tuple(glob.escape(entry.within + key.removeprefix(prefix)) for key in keys))


def _deployment(own: Own, region: str, configuration: FunctionConfiguration) -> str:
    return own.bucket if region == own.region else configuration.deployment_buckets.get(region, "")


def _require_two(source: DataLocation, target: DataLocation) -> None:
    if source == target:
        raise RefusedError(
            400, "InvalidField", f"source and target are the same: {source.bucket}/{source.prefix}."
        )


def _not_named(what: str) -> RefusedError:
    return RefusedError(
        403, "NotNamed", f"No entry under carry names {what}: nothing else may be read or written."
    )
