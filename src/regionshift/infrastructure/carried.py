"""What ``carry`` names, as ARNs of one target region: where the worker reads and where it writes. Pure."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from regionshift.infrastructure.policies.worker import BucketReach
from regionshift.infrastructure.site import Site
from regionshift.settings import components as named
from regionshift.settings.carry import CarryBucket, CarryParameters, CarrySecrets

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
    named_by: Mapping[str, Sequence[CarryBucket | CarryParameters | CarrySecrets]]
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
    for carried in site.config.carry.s3:
        source = found.setdefault(carried.source_account or site.config.account, _Named())
        for region in _regions(site):
            bucket = _bucket(site, carried.source_in(region) or _own(site, region))
            source.sources.setdefault(bucket, []).append(carried.prefix)
        target = found.setdefault(carried.target_account or site.config.account, _Named())
        bucket = _bucket(site, carried.target_in(site.region) or _own(site, site.region))
        prefix = carried.prefix if carried.target_prefix is None else carried.target_prefix
        target.targets.setdefault(bucket, []).append(prefix)
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
    read, write = [], []
    for carried in site.config.carry.ssm:
        for region in _regions(site):
            read.append(site.arn_in("ssm", region, f"parameter{_path(carried.path, region)}*"))
        target = carried.target_path or carried.path
        write.append(site.arn_in("ssm", site.region, f"parameter{_path(target, site.region)}*"))
    return Reach(_once(read), _once(write))


def secrets(site: Site) -> Reach:
    """Secrets whose names begin as named; those that go by tags are in `tagged_secrets`."""
    read, write = [], []
    for carried in site.config.carry.secrets:
        if carried.name is None:
            continue
        for region in _regions(site):
            read.append(site.arn_in("secretsmanager", region, f"secret:{_placed(carried.name, region)}*"))
        target = carried.target_name or carried.name
        write.append(site.arn_in("secretsmanager", site.region, f"secret:{_placed(target, site.region)}*"))
    return Reach(_once(read), _once(write))


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
    carry = site.config.carry
    found: list[list[object]] = []
    for bucket in carry.s3:
        target = bucket.prefix if bucket.target_prefix is None else bucket.target_prefix
        source = [bucket.bucket or "", bucket.prefix, bucket.source_account or ""]
        to = [bucket.target_bucket or bucket.bucket or "", target, bucket.target_account or ""]
        found.append(["s3", source, to, {}])
    for path in carry.ssm:
        found.append(["ssm", ["", path.source_in(_REGION), ""], ["", path.target_in(_REGION), ""], {}])
    for secret in carry.secrets:
        ends = (["", secret.source_in(_REGION), ""], ["", secret.target_in(_REGION), ""])
        found.append(["secrets", *ends, dict(secret.tags)])
    told = {"buckets": {region: _own(site, region) for region in _regions(site)}, "ways": found}
    return base64.b64encode(zlib.compress(json.dumps(told, sort_keys=True).encode(), 9)).decode()


def records(site: Site) -> str:
    """The bucket that migrations keep their records in."""
    return _bucket(site, _own(site, site.region))


def _regions(site: Site) -> Sequence[str]:
    return site.config.all_regions


def _own(site: Site, region: str) -> str:
    return named.DEPLOYMENT_BUCKET.name(site.names, region)


def _bucket(site: Site, name: str) -> str:
    return f"arn:{site.partition}:s3:::{name}"


def _path(path: str, region: str) -> str:
    return _placed(path, region).rstrip("/") + "/"


def _placed(text: str, region: str) -> str:
    return text.replace("{region}", region)


def _fixed(prefix: str) -> str:
    """Wildcards of policies stand for themselves in it (IAM User Guide, "Policy variables")."""
    return prefix.replace("$", "${$}").replace("*", "${*}").replace("?", "${?}")


def _once(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found))
