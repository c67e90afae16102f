"""The entries of ``carry`` in the settings, for one pair of regions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import starmap

from regionshift.carriers.bounds import Bounds, Route, between, own_bucket, routes_into
from regionshift.carriers.carrier import DataLocation, Entry
from regionshift.carriers.kinds import KINDS
from regionshift.carriers.plan import MigrationPlan
from regionshift.carriers.records import PROGRAMS_OWN
from regionshift.errors import InputError, Refused
from regionshift.infrastructure.carried import own_buckets, pattern_of
from regionshift.settings.carry import CarryEntry
from regionshift.settings.components import COMPONENTS
from regionshift.settings.config import MigrationConfig


def require_regions(config: MigrationConfig, source: str, target: str) -> None:
    """Check that both are regions of the environment, and differ.

    Raises:
        InputError: they are not, or do not.
    """
    for option, region in (("--from", source), ("--to", target)):
        if region not in config.all_regions:
            raise InputError(
                f"{region} is no region of this environment.",
                where=option,
                remedy=f"one of {', '.join(config.all_regions)}",
                error_id="RS-REGION-001",
            )
    if source == target:
        raise InputError(
            f"Source and target are the same region, {source}.",
            where="--to",
            remedy="name two regions",
            error_id="RS-REGION-001",
        )


def entries(config: MigrationConfig, source: str, target: str) -> list[Entry]:
    """The entries of ``carry``, from one region to another.

    Raises:
        InputError: there are none.
    """
    found = [_entry(config, kind, each, source, target) for kind, each in config.carry.entries]
    if not found:
        raise InputError(
            "Nothing is named to be carried.",
            where="carry",
            remedy="name buckets, paths or secrets under `carry` in the settings, then: regionshift up",
            error_id="RS-CARRY-001",
        )
    return found


def bounds_of(config: MigrationConfig, target: str, bucket: str) -> Bounds:
    """The places that migrations into ``target`` may use today. ``bucket``: its deployment bucket.

    They include copies within a region, by the function; and the whole deployment bucket of another region, for a
    change of primary.
    """
    buckets = own_buckets(config, config.all_regions)
    patterns = [Route("s3", DataLocation(""), DataLocation("")), *starmap(pattern_of, config.carry.entries)]
    return Bounds(bucket, (own_bucket(target, bucket), *routes_into(target, patterns, buckets)))


def _entry(config: MigrationConfig, kind: str, carried: CarryEntry, source: str, target: str) -> Entry:
    own_buckets_of = own_buckets(config, (source, target))
    route = between(pattern_of(kind, carried), source, target, own_buckets_of)
    own_key = config.names.key_alias(target)
    default_key = None if KINDS[kind].in_buckets else own_key
    is_deployment = route.source.bucket == own_buckets_of[source]
    owned = [
        component.name(config.names, region)
        for component in COMPONENTS
        if component.kind is carried.name_kind
        for region in (source, target)
    ]
    return Entry(
        kind,
        route.source,
        route.target,
        include=carried.include,
        exclude=carried.exclude,
        kms_key=_key(carried.kms_key, target) or default_key,
        keys=(own_key,),
        tags=route.tags,
        owned=PROGRAMS_OWN if is_deployment else tuple(owned),
        **carried.options(config.migration),
    )


def _key(name: str | None, target: str) -> str | None:
    """The key that an entry names, in the target's region.

    Raises:
        InputError: the key is in another region.
    """
    if name is None:
        return None
    found = name.replace("{region}", target)
    region = found.split(":")[3] if found.startswith("arn:") else target
    if region != target:
        raise InputError(
            f"The key {found} is in {region} and cannot encrypt what is in {target}.",
            where="carry: kms_key",
            remedy="name an alias that each region has, or put {region} into the ARN",
            error_id="RS-CARRY-004",
        )
    return found


def require_rights(config: MigrationConfig, content: Mapping[str, object], region: str) -> None:
    """Check that the release of the target names the same data as the settings.

    The worker may only touch the data that `carry` named at the last `up`. Other data would fail item by item, after
    the first items are written.

    Args:
        content: of the kept release that ``region`` runs.

    Raises:
        Refused: `carry` has changed since.
    """
    given = content.get("config")
    known = given.get("carry") if isinstance(given, Mapping) else None
    if known is not None and known != config.model_dump(mode="json")["carry"]:
        raise Refused(
            f"The worker in {region} has no permission for what `carry` names now: it changed since the last `up`.",
            where=f"{region}: carry",
            remedy="regionshift up",
            error_id="RS-CARRY-006",
        )


def require_something(made: MigrationPlan, source: str) -> None:
    """Check that not all entries select nothing. A single empty entry is noted in the plan.

    Raises:
        InputError: all select nothing. It names them.
    """
    nothing = [str(part.entry.source) for part in made.entries if not sum(part.counts.values())]
    if len(nothing) == len(made.entries):
        raise InputError(
            "The entries under `carry` select nothing.",
            where=f"{source}: {', '.join(nothing)}",
            remedy="look at the prefixes, paths, names and patterns under `carry`",
            error_id="RS-CARRY-001",
        )
