"""What ``carry`` names, as ARNs of one target region: where the worker reads and where it writes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from regionshift.infrastructure.site import Site
from regionshift.settings import components as named
from regionshift.settings.carry import CarryBucket, CarryParameters, CarrySecrets

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
class NamedKey:
    """A key of the target region that entries name: ``resource`` for its policy, and which services use it.

    ``alias``: the resource is every key of the account then, and the alias tells which.
    """

    resource: str
    alias: str
    services: tuple[str, ...]


def keys(site: Site) -> tuple[NamedKey, ...]:
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
    return tuple(NamedKey(*key, tuple(services)) for key, services in found.items())


def _key(site: Site, name: str) -> tuple[str, str] | None:
    """(resource, alias) of a key; None for one of another region, or AWS's own."""
    _, _, alias = name.partition("alias/")
    if alias.startswith("aws/") or (name.startswith("arn:") and name.split(":")[3] != site.region):
        return None
    return (site.arn("kms", "key/*"), f"alias/{alias}") if alias else (name, "")


def buckets(site: Site) -> tuple[str, ...]:
    """Every bucket that is listed: sources in all regions, targets in this one, the one of the records."""
    found = [_own(site, site.region)]
    for carried in site.config.carry.s3:
        found += [carried.source_in(region) or _own(site, region) for region in _regions(site)]
        found.append(carried.target_in(site.region) or _own(site, site.region))
    return _once(_bucket(site, name) for name in found)


def created_buckets(site: Site) -> tuple[str, ...]:
    """Names of the buckets of this region that the program creates for what is carried there."""
    wanted = [entry for entry in site.config.carry.s3 if entry.created_by == "regionshift"]
    return _once(name for entry in wanted if (name := entry.target_in(site.region)) is not None)


def objects(site: Site) -> Reach:
    """Objects of the prefixes that are named."""
    read, write = [], []
    for carried in site.config.carry.s3:
        for region in _regions(site):
            name = carried.source_in(region) or _own(site, region)
            read.append(f"{_bucket(site, name)}/{_fixed(carried.prefix)}*")
        name = carried.target_in(site.region) or _own(site, site.region)
        prefix = carried.prefix if carried.target_prefix is None else carried.target_prefix
        write.append(f"{_bucket(site, name)}/{_fixed(prefix)}*")
    return Reach(_once(read), _once(write))


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


def records(site: Site) -> tuple[str, ...]:
    """Objects that migrations keep their records in."""
    own = _bucket(site, _own(site, site.region))
    return tuple(f"{own}/{prefix}*" for prefix in RECORDS)


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
