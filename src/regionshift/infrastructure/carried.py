"""What ``carry`` names, as ARNs of one target region: where the worker reads and where it writes. Pure."""

from __future__ import annotations

import base64
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import starmap
from typing import Any

import pulumi

from regionshift.carriers.bounds import Route
from regionshift.carriers.carrier import DataLocation
from regionshift.carriers.executions import WORKERS
from regionshift.carriers.kinds import KINDS
from regionshift.infrastructure.policies import worker
from regionshift.infrastructure.policies.statement import Statement
from regionshift.infrastructure.policies.worker import BucketReach
from regionshift.infrastructure.site import Site
from regionshift.settings import components as named
from regionshift.settings.carry import CarryEntry
from regionshift.settings.config import MigrationConfig
from regionshift.settings.regions import patterns_of

_REGION = "{region}"
RECORDS = ("migrations/", "rollbacks/")


@dataclass(frozen=True)
class CarryRights:
    """The rights of the worker on one kind of data.

    Args:
        policy: the policy of its role that has them.
        statements: makes the policy's statements from ``reach``.
    """

    policy: named.Component
    statements: Callable[..., Sequence[Statement]]
    reach: Mapping[str, Any]


@dataclass(frozen=True)
class TargetKey:
    """A key of the target region that entries name: ``resource`` for its policy, and the services that use it.

    With ``alias`` the resource is every key of the account, and the alias selects the key.
    """

    resource: str
    alias: str
    services: tuple[str, ...]


def services(config: MigrationConfig) -> list[str]:
    """Return the services whose data `carry` names, as AWS writes them in ``kms:ViaService``."""
    return sorted(KINDS[kind].service for kind, entries in config.carry.by_kind.items() if entries)


def keys(site: Site) -> tuple[TargetKey, ...]:
    """Return the keys beside the environment's that entries write with in this region. AWS's own keys need no
    rights.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for kind, entries in site.config.carry.by_kind.items():
        for name in _once(entry.kms_key for entry in entries if entry.kms_key):
            key = _key(site, name.replace(_REGION, site.region))
            if key is not None:
                found.setdefault(key, []).append(KINDS[kind].service)
    return tuple(TargetKey(*key, tuple(services)) for key, services in found.items())


def _key(site: Site, name: str) -> tuple[str, str] | None:
    """Return (resource, alias) of a key; None for a key of another region, or AWS's own."""
    _, _, alias = name.partition("alias/")
    if alias.startswith("aws/") or (name.startswith("arn:") and name.split(":")[3] != site.region):
        return None
    return (site.arn("kms", "key/*"), f"alias/{alias}") if alias else (name, "")


def created_buckets(site: Site) -> tuple[str, ...]:
    """Return the names of the buckets of this region that the program creates for carried data."""
    return site.config.carry.created_in(site.region)


def objects(site: Site, *, by_pattern: bool = False) -> tuple[BucketReach, ...]:
    """Return the objects under the named prefixes, by the account of their bucket, this account first.

    Args:
        by_pattern: buckets whose names differ only in their region share a pattern (`regions.patterns_of`).
            ``${aws:RequestedRegion}`` would be wrong: a copy reads its source through the region of its target.
    """
    found: dict[str, _Named] = {}
    patterns = _regions(site, by_pattern)
    for route in _patterns_of(site, "s3"):
        for end, is_target in ((route.source, False), (route.target, True)):
            reached = found.setdefault(end.account or site.config.account, _Named())
            buckets = reached.targets if is_target else reached.sources
            names = [_in_region(site, end, site.region)] if is_target else _sources(site, end, patterns)
            for name in names:
                buckets.setdefault(_bucket(site, name), []).append(end.prefix)
    own = site.config.account
    return tuple(
        found[account].reach(account) for account in sorted(found, key=lambda each: (each != own, each))
    )


def _in_region(site: Site, end: DataLocation, region: str) -> str:
    return end.bucket.replace(_REGION, region) or _own(site, region)


def _sources(site: Site, end: DataLocation, patterns: Mapping[str, str]) -> tuple[str, ...]:
    if end.bucket:
        return _once(end.bucket.replace(_REGION, pattern) for pattern in patterns.values())
    # A shortened name ends in a hash, so it shares no pattern with the name in another region.
    named_alike = {region: _own(site, region).replace(region, each) for region, each in patterns.items()}
    times = Counter(named_alike.values())
    return _once(name if times[name] > 1 else _own(site, region) for region, name in named_alike.items())


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
            listed.setdefault(tuple(f"{literal(prefix)}*" for prefix in prefixes), []).append(bucket)
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
        f"{bucket}/{literal(prefix)}*" for bucket, prefixes in named_in.items() for prefix in prefixes
    )


def _object_rights(site: Site, by_pattern: bool) -> CarryRights | None:
    reaches = objects(site, by_pattern=by_pattern)
    if not reaches:
        return None
    return CarryRights(named.WORKER_OBJECTS_POLICY, worker.object_statements, {"reaches": reaches})


def _parameter_rights(site: Site, by_pattern: bool) -> CarryRights | None:
    """Return the rights on parameters of the named paths."""
    reach = named_reach(site, "ssm", "parameter", by_pattern)
    return CarryRights(named.WORKER_PARAMETERS_POLICY, worker.parameter_statements, reach) if reach else None


def _secret_rights(site: Site, by_pattern: bool) -> CarryRights | None:
    """Return the rights on secrets whose names begin as named. Secrets selected by tags can have any name, and need
    their tags.
    """
    reach = named_reach(site, "secrets", "secret:", by_pattern)
    tags = [dict(entry.tags) for entry in site.config.carry.secrets if entry.name is None]
    if not reach and not tags:
        return None
    tagged = {
        "tagged_read": (site.arn_in("secretsmanager", "*", "secret:*"),) if tags else (),
        "tagged_write": (site.arn("secretsmanager", "secret:*"),) if tags else (),
        "tags": tags,
    }
    nothing = {"read": (), "write": (), "regions": tuple(sorted(site.config.all_regions))}
    return CarryRights(named.WORKER_SECRETS_POLICY, worker.secret_statements, {**nothing, **reach, **tagged})


RIGHTS: dict[str, Callable[[Site, bool], CarryRights | None]] = {
    "s3": _object_rights,
    "ssm": _parameter_rights,
    "secrets": _secret_rights,
}
"""The rights of the worker in a region on each kind of data; None when the settings name nothing of it.

The second argument says whether names that differ only in their region share a pattern, which is shorter and wider.
"""


def named_reach(site: Site, kind: str, resource: str, by_pattern: bool) -> dict[str, tuple[str, ...]]:
    """Return the ARN patterns that the worker may ``read`` and ``write``, from the names of the entries of one kind.

    Patterns to read stand for any region, so thirty regions need as many as two. The statements limit them to
    ``regions``. The result is empty when no entry has a name. Entries with tags are left out.

    Args:
        resource: what comes before the name in the resource part of its ARN.
        by_pattern: see `RIGHTS`.
    """
    routes, service = [route for route in _patterns_of(site, kind) if not route.tags], KINDS[kind].service
    every = tuple(_regions(site, by_pattern).values())
    read = _once(
        site.arn_in(
            service,
            place if _REGION in route.source.prefix else "*",
            f"{resource}{route.source.prefix.replace(_REGION, place)}*",
        )
        for route in routes
        for place in every
    )
    write = _once(
        site.arn(service, f"{resource}{route.target.prefix.replace(_REGION, site.region)}*")
        for route in routes
    )
    return {"read": read, "write": write, "regions": tuple(sorted(site.config.all_regions))} if routes else {}


def worker_variables(
    site: Site, bucket: pulumi.Input[str], topic: pulumi.Input[str], records_key: pulumi.Input[str]
) -> dict[str, pulumi.Input[str]]:
    """Return the worker's variables, with no secret among them.

    Args:
        bucket: the name of the deployment bucket.
        topic, records_key: the ARNs of the deployment topic and the key of seals.
    """
    return {
        "REGION": site.region,
        "ACCOUNT": site.config.account,
        "DEPLOYMENT_BUCKET": bucket,
        # The embedded AWS is one process on one core, where more connections do not help.
        "CONNECTIONS": "64" if site.config.target == "aws" else "8",
        "WORKERS": str(WORKERS[site.config.target]),
        "ENVIRONMENT": site.config.suffix,
        "NOTIFICATION_TOPIC": topic,
        "RECORDS_KEY_ARN": records_key,
        "CARRY": routes(site),
    }


def routes(site: Site) -> str:
    """Return the routes of the worker, for its variable CARRY: JSON, zlib, base64.

    ``buckets`` has every region's deployment bucket. ``ways`` has a line for each entry: kind; bucket, prefix and
    account of the source and of the target; the tags that select secrets. ``{region}`` is unchanged, because a
    function's variables have only 4 KB together (Lambda Developer Guide, "Lambda quotas").
    """
    found = [
        [
            route.kind,
            *([end.bucket, end.prefix, end.account] for end in (route.source, route.target)),
            dict(route.tags),
        ]
        for route in starmap(pattern_of, site.config.carry.entries)
    ]
    told = {"buckets": own_buckets(site.config, site.config.all_regions), "ways": found}
    return base64.b64encode(zlib.compress(json.dumps(told, sort_keys=True).encode(), 9)).decode()


def pattern_of(kind: str, entry: CarryEntry) -> Route:
    """Return one entry of ``carry`` without regions, as ``bounds.between`` takes it."""
    source, target = (DataLocation("", end.bucket or "", end.prefix, end.account) for end in entry.ends)
    return Route(kind, source, target, entry.wanted_tags)


def _patterns_of(site: Site, kind: str) -> list[Route]:
    """Return what entries of one kind name, with ``{region}`` unchanged."""
    return [pattern_of(kind, entry) for entry in site.config.carry.by_kind[kind]]


def own_buckets(config: MigrationConfig, regions: Iterable[str]) -> dict[str, str]:
    """Return the deployment bucket of each of ``regions``."""
    return {region: named.DEPLOYMENT_BUCKET.name(config.names, region) for region in regions}


def records(site: Site) -> str:
    """Return the bucket of the records of migrations."""
    return _bucket(site, _own(site, site.region))


def _regions(site: Site, by_pattern: bool) -> dict[str, str]:
    """Return the text for each region in a policy, sorted, so that another primary changes nothing there."""
    regions = sorted(site.config.all_regions)
    return patterns_of(regions) if by_pattern else dict(zip(regions, regions, strict=True))


def _own(site: Site, region: str) -> str:
    return named.DEPLOYMENT_BUCKET.name(site.names, region)


def _bucket(site: Site, name: str) -> str:
    return f"arn:{site.partition}:s3:::{name}"


def literal(prefix: str) -> str:
    """Escape the wildcards of policies (IAM User Guide, "Policy variables")."""
    return prefix.replace("$", "${$}").replace("*", "${*}").replace("?", "${?}")


def _once(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found))
