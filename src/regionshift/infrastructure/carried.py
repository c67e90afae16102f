"""What ``carry`` names, as ARNs of one target region: where the worker reads and where it writes. Pure."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from regionshift.carriers.bounds import Way, ways_into
from regionshift.carriers.carrier import DataLocation
from regionshift.infrastructure.policies.worker import BucketReach
from regionshift.infrastructure.site import Site
from regionshift.settings import components as named
from regionshift.settings.carry import CarryBucket, CarryEntry, CarrySecrets
from regionshift.settings.config import MigrationConfig

_REGION = "{region}"
RECORDS = ("migrations/", "rollbacks/")


@dataclass(frozen=True)
class Reach:
    """ARNs and ARN patterns, each once and in order."""

    read: tuple[str, ...]
    write: tuple[str, ...]


@dataclass(frozen=True)
class Tagged:
    """ARN patterns that reach only what has every tag of one of ``tags``."""

    reach: Reach
    tags: tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class TargetKey:
    """A key of the target region that entries name: ``resource`` for its policy, and which services use it.

    ``alias``: the resource is every key of the account then, and the alias tells which.
    """

    resource: str
    alias: str
    services: tuple[str, ...]


def keys(site: Site) -> tuple[TargetKey, ...]:
    """Keys beside the environment's that entries write with in this region; AWS's own need no rights."""
    carry = site.config.carry
    named_by: Mapping[str, Sequence[CarryEntry]]
    named_by = {"s3": carry.s3, "ssm": carry.ssm, "secretsmanager": carry.secrets}
    found: dict[tuple[str, str], list[str]] = {}
    for service, entries in named_by.items():
        for name in _once(entry.kms_key for entry in entries if entry.kms_key):
            key = _key(site, _placed(name, site.region))
            if key is not None:
                found.setdefault(key, []).append(service)
    return tuple(TargetKey(*key, tuple(services)) for key, services in found.items())


def _key(site: Site, name: str) -> tuple[str, str] | None:
    """(resource, alias) of a key; None for one of another region, or AWS's own."""
    _, _, alias = name.partition("alias/")
    if alias.startswith("aws/") or (name.startswith("arn:") and name.split(":")[3] != site.region):
        return None
    return (site.arn("kms", "key/*"), f"alias/{alias}") if alias else (name, "")


def created_buckets(site: Site) -> tuple[str, ...]:
    """Names of the buckets of this region that the program creates for what is carried there."""
    return site.config.carry.created_in(site.region)


def objects(site: Site) -> tuple[BucketReach, ...]:
    """Objects of the prefixes that are named, by the account of their bucket, the environment's first."""
    found: dict[str, _Named] = {}
    for way in _ways(site, "s3"):
        for end, is_target in ((way.source, False), (way.target, True)):
            reached = found.setdefault(end.account or site.config.account, _Named())
            buckets = reached.targets if is_target else reached.sources
            buckets.setdefault(_bucket(site, end.bucket), []).append(end.prefix)
    own = site.config.account
    return tuple(
        found[account].reach(account) for account in sorted(found, key=lambda each: (each != own, each))
    )


@dataclass(frozen=True)
class _Named:
    """What entries name in the buckets of one account: {bucket: its prefixes}."""

    sources: dict[str, list[str]] = field(default_factory=dict)
    targets: dict[str, list[str]] = field(default_factory=dict)

    def reach(self, account: str) -> BucketReach:
        every = {
            bucket: _once([*self.sources.get(bucket, ()), *self.targets.get(bucket, ())])
            for bucket in (*self.sources, *self.targets)
        }
        listed: dict[tuple[str, ...], list[str]] = {}
        for bucket, prefixes in every.items():
            listed.setdefault(tuple(f"{_fixed(prefix)}*" for prefix in prefixes), []).append(bucket)
        return BucketReach(
            account,
            sources=tuple(bucket for bucket in self.sources if bucket not in self.targets),
            targets=tuple(self.targets),
            read=_patterns(every),
            write=_patterns(self.targets),
            listed=tuple((prefixes, tuple(buckets)) for prefixes, buckets in listed.items()),
        )


def _patterns(named_in: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return _once(
        f"{bucket}/{_fixed(prefix)}*" for bucket, prefixes in named_in.items() for prefix in prefixes
    )


def parameters(site: Site) -> Reach:
    """Parameters of the paths that are named."""
    return _reach(site, "ssm", "ssm", "parameter")


def secrets(site: Site) -> Reach:
    """Secrets whose names begin as named; those that go by tags are in `tagged_secrets`."""
    return _reach(site, "secrets", "secretsmanager", "secret:")


def _reach(site: Site, kind: str, service: str, resource: str) -> Reach:
    """What entries of one kind name, as patterns of its service's ARNs; what goes by tags left out."""
    ways = [way for way in _ways(site, kind) if not way.tags]
    return Reach(
        _once(site.arn_in(service, way.source.region, f"{resource}{way.source.prefix}*") for way in ways),
        _once(site.arn_in(service, site.region, f"{resource}{way.target.prefix}*") for way in ways),
    )


def tagged_secrets(site: Site) -> Tagged:
    """Secrets that go by tags: any name, so every right on them is bound to the tags."""
    tags = tuple(dict(entry.tags) for entry in site.config.carry.secrets if entry.name is None)
    if not tags:
        return Tagged(Reach((), ()), ())
    read = [site.arn_in("secretsmanager", region, "secret:*") for region in _regions(site)]
    write = [site.arn_in("secretsmanager", site.region, "secret:*")]
    return Tagged(Reach(_once(read), _once(write)), tags)


def ways(site: Site) -> str:
    """From where to where the worker may carry, for its variable CARRY: JSON, zlib, base64.

    ``buckets`` has every region's deployment bucket, ``ways`` a line an entry: kind, the source's bucket, prefix and
    account, the target's, and the tags of secrets that go by them. ``{region}`` stands as it does in the settings:
    patterns, and not what they mean in each region, because a function's variables have 4 KB together (Lambda
    Developer Guide, "Lambda quotas").
    """
    found = [
        [
            way.kind,
            *([end.bucket, end.prefix, end.account] for end in (way.source, way.target)),
            dict(way.tags),
        ]
        for way in map(pattern_of, site.config.carry.entries)
    ]
    told = {"buckets": own_buckets(site.config, _regions(site)), "ways": found}
    return base64.b64encode(zlib.compress(json.dumps(told, sort_keys=True).encode(), 9)).decode()


def pattern_of(entry: CarryEntry) -> Way:
    """One entry of ``carry`` without regions, as ``bounds.between`` takes it."""
    if isinstance(entry, CarryBucket):
        begins = entry.prefix if entry.target_prefix is None else entry.target_prefix
        return Way(
            "s3",
            DataLocation("", entry.source_in(_REGION) or "", entry.prefix, entry.source_account or ""),
            DataLocation("", entry.target_in(_REGION) or "", begins, entry.target_account or ""),
        )
    ends = (
        DataLocation("", prefix=entry.source_in(_REGION)),
        DataLocation("", prefix=entry.target_in(_REGION)),
    )
    return Way("secrets", *ends, entry.tags) if isinstance(entry, CarrySecrets) else Way("ssm", *ends)


def _ways(site: Site, kind: str) -> tuple[Way, ...]:
    """What entries of one kind name into the region."""
    patterns = [way for way in map(pattern_of, site.config.carry.entries) if way.kind == kind]
    return ways_into(site.region, patterns, own_buckets(site.config, _regions(site)))


def own_buckets(config: MigrationConfig, regions: Iterable[str]) -> dict[str, str]:
    """The deployment bucket of each of ``regions``."""
    return {region: named.DEPLOYMENT_BUCKET.name(config.names, region) for region in regions}


def records(site: Site) -> str:
    """The bucket that migrations keep their records in."""
    return _bucket(site, _own(site, site.region))


def _regions(site: Site) -> Sequence[str]:
    return site.config.all_regions


def _own(site: Site, region: str) -> str:
    return named.DEPLOYMENT_BUCKET.name(site.names, region)


def _bucket(site: Site, name: str) -> str:
    return f"arn:{site.partition}:s3:::{name}"


def _placed(text: str, region: str) -> str:
    return text.replace("{region}", region)


def _fixed(prefix: str) -> str:
    """Wildcards of policies stand for themselves in it (IAM User Guide, "Policy variables")."""
    return prefix.replace("$", "${$}").replace("*", "${*}").replace("?", "${?}")


def _once(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found))
