"""What ``carry`` names, as ARNs of one target region: where the worker reads and where it writes. Pure."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import starmap
from typing import Any

from regionshift.carriers.bounds import Way, ways_into
from regionshift.carriers.carrier import DataLocation
from regionshift.carriers.kinds import KINDS
from regionshift.infrastructure.policies import worker
from regionshift.infrastructure.policies.statement import Statement
from regionshift.infrastructure.policies.worker import BucketReach
from regionshift.infrastructure.site import Site
from regionshift.settings import components as named
from regionshift.settings.carry import CarryEntry
from regionshift.settings.config import MigrationConfig

_REGION = "{region}"
RECORDS = ("migrations/", "rollbacks/")


@dataclass(frozen=True)
class CarryRights:
    """What the worker may do with one kind of data.

    Args:
        policy: the policy of its role that says so.
        statements: makes the policy's statements of ``reach``.
    """

    policy: named.Component
    statements: Callable[..., Sequence[Statement]]
    reach: Mapping[str, Any]


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
    found: dict[tuple[str, str], list[str]] = {}
    for kind, entries in site.config.carry.by_kind.items():
        for name in _once(entry.kms_key for entry in entries if entry.kms_key):
            key = _key(site, name.replace(_REGION, site.region))
            if key is not None:
                found.setdefault(key, []).append(KINDS[kind].service)
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


def _object_rights(site: Site) -> CarryRights | None:
    reaches = objects(site)
    if not reaches:
        return None
    return CarryRights(named.WORKER_OBJECTS_POLICY, worker.object_statements, {"reaches": reaches})


def _parameter_rights(site: Site) -> CarryRights | None:
    """Parameters of the paths that are named."""
    reach = named_reach(site, "ssm", "parameter")
    return CarryRights(named.WORKER_PARAMETERS_POLICY, worker.parameter_statements, reach) if reach else None


def _secret_rights(site: Site) -> CarryRights | None:
    """Secrets whose names begin as named; those that go by tags can have any name, and are bound to their tags."""
    reach = named_reach(site, "secrets", "secret:")
    tags = [dict(entry.tags) for entry in site.config.carry.secrets if entry.name is None]
    if not reach and not tags:
        return None
    read, write = ((*_regions(site),), (site.region,)) if tags else ((), ())
    tagged = {
        "tagged_read": _once(site.arn_in("secretsmanager", region, "secret:*") for region in read),
        "tagged_write": _once(site.arn_in("secretsmanager", region, "secret:*") for region in write),
        "tags": tags,
    }
    return CarryRights(
        named.WORKER_SECRETS_POLICY, worker.secret_statements, {"read": (), "write": (), **reach, **tagged}
    )


RIGHTS: dict[str, Callable[[Site], CarryRights | None]] = {
    "s3": _object_rights,
    "ssm": _parameter_rights,
    "secrets": _secret_rights,
}
"""What the worker may do in a region with each kind of data; None when the settings name nothing of it."""


def named_reach(site: Site, kind: str, resource: str) -> dict[str, tuple[str, ...]]:
    """ARN patterns that the worker may ``read`` and ``write``, by the names that entries of one kind give.

    Empty when no entry gives one; what goes by tags is left out.

    Args:
        resource: what stands before the name in the resource part of its ARN.
    """
    ways, service = [way for way in _ways(site, kind) if not way.tags], KINDS[kind].service
    read = _once(site.arn_in(service, way.source.region, f"{resource}{way.source.prefix}*") for way in ways)
    write = _once(site.arn_in(service, site.region, f"{resource}{way.target.prefix}*") for way in ways)
    return {"read": read, "write": write} if ways else {}


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
        for way in starmap(pattern_of, site.config.carry.entries)
    ]
    told = {"buckets": own_buckets(site.config, _regions(site)), "ways": found}
    return base64.b64encode(zlib.compress(json.dumps(told, sort_keys=True).encode(), 9)).decode()


def pattern_of(kind: str, entry: CarryEntry) -> Way:
    """One entry of ``carry`` without regions, as ``bounds.between`` takes it."""
    source, target = (DataLocation("", end.bucket or "", end.prefix, end.account) for end in entry.ends)
    return Way(kind, source, target, entry.wanted_tags)


def _ways(site: Site, kind: str) -> tuple[Way, ...]:
    """What entries of one kind name into the region."""
    patterns = [pattern_of(kind, entry) for entry in site.config.carry.by_kind[kind]]
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


def _fixed(prefix: str) -> str:
    """Wildcards of policies stand for themselves in it (IAM User Guide, "Policy variables")."""
    return prefix.replace("$", "${$}").replace("*", "${*}").replace("?", "${?}")


def _once(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found))
