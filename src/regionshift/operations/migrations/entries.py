"""What ``carry`` in the settings means for one pair of regions. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from regionshift.carriers.bounds import Bounds, Way, between, own_bucket, ways_into
from regionshift.carriers.carrier import DataLocation, Entry
from regionshift.carriers.records import PROGRAMS_OWN
from regionshift.errors import InputError
from regionshift.infrastructure.carried import own_buckets, pattern_of
from regionshift.settings import components as named
from regionshift.settings.carry import CarryBucket, CarryEntry, CarryParameters, CarrySecrets, Rewrite
from regionshift.settings.config import MigrationConfig


def require_regions(config: MigrationConfig, source: str, target: str) -> None:
    """Both are regions of the environment, and not the same one.

    Raises:
        InputError: they are not.
    """
    for option, region in (("--from", source), ("--to", target)):
        if region not in config.all_regions:
            raise InputError(
                f"{region} is no region of this environment.",
                where=option,
                remedy=f"one of {', '.join(config.all_regions)}",
            )
    if source == target:
        raise InputError(
            f"Source and target are the same region, {source}.", where="--to", remedy="name two regions"
        )


def entries(config: MigrationConfig, source: str, target: str) -> list[Entry]:
    """The entries of ``carry``, from one region to another.

    Raises:
        InputError: nothing is named.
    """
    carry = config.carry
    found = [
        *(_bucket(config, each, source, target) for each in carry.s3),
        *(_parameters(config, each, source, target) for each in carry.ssm),
        *(_secrets(config, each, source, target) for each in carry.secrets),
    ]
    if not found:
        raise InputError(
            "Nothing is named to be carried.",
            where="carry",
            remedy="name buckets, paths or secrets under `carry` in the settings, then: regionshift up",
        )
    return found


def bounds_of(config: MigrationConfig, target: str, bucket: str) -> Bounds:
    """What migrations into ``target``, whose deployment bucket is ``bucket``, may touch today.

    Within a region too, where the function carries objects from one bucket to another; and the whole deployment
    bucket of another region, which a change of primary carries.
    """
    buckets = own_buckets(config, config.all_regions)
    patterns = [Way("s3", DataLocation(""), DataLocation("")), *map(pattern_of, config.carry.entries)]
    return Bounds(bucket, (own_bucket(target, bucket), *ways_into(target, patterns, buckets)))


def _ends(
    config: MigrationConfig, carried: CarryEntry, source: str, target: str
) -> tuple[DataLocation, DataLocation]:
    way = between(pattern_of(carried), source, target, own_buckets(config, (source, target)))
    return way.source, way.target


def _bucket(config: MigrationConfig, carried: CarryBucket, source: str, target: str) -> Entry:
    ends = _ends(config, carried, source, target)
    keeps = config.migration.keep_versions if carried.keep_versions is None else carried.keep_versions
    return Entry(
        "s3",
        *ends,
        include=carried.include,
        exclude=carried.exclude,
        history=keeps,
        storage_class=carried.storage_class,
        kms_key=_key(carried.kms_key, target),
        keys=(config.names.key_alias(target),),
        owned=PROGRAMS_OWN if ends[0].bucket == named.DEPLOYMENT_BUCKET.name(config.names, source) else (),
    )


def _parameters(config: MigrationConfig, carried: CarryParameters, source: str, target: str) -> Entry:
    return Entry(
        "ssm",
        *_ends(config, carried, source, target),
        include=carried.include,
        exclude=carried.exclude,
        kms_key=_key(carried.kms_key, target) or config.names.key_alias(target),
        keys=(config.names.key_alias(target),),
        rewrite=tuple(_rules(carried.rewrite)),
        replace=carried.rewrite.replace,
        owned=tuple(
            named.DEPLOYMENT_CONFIG_PARAMETER.name(config.names, region) for region in (source, target)
        ),
    )


def _secrets(config: MigrationConfig, carried: CarrySecrets, source: str, target: str) -> Entry:
    return Entry(
        "secrets",
        *_ends(config, carried, source, target),
        include=carried.include,
        exclude=carried.exclude,
        kms_key=_key(carried.kms_key, target) or config.names.key_alias(target),
        keys=(config.names.key_alias(target),),
        rewrite=tuple(_rules(carried.rewrite)),
        replace=carried.rewrite.replace,
        tags=carried.tags,
        owned=tuple(named.DEPLOYMENT_CONFIG_SECRET.name(config.names, region) for region in (source, target)),
    )


def _key(name: str | None, target: str) -> str | None:
    """The key that an entry names, in the target's region.

    Raises:
        InputError: it is one of another region.
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
        )
    return found


def _rules(rewrite: Rewrite) -> Iterator[str]:
    if rewrite.arns:
        yield "arn"
    if rewrite.regions:
        yield "region"
