"""The rules between fields: what one field alone cannot know to be wrong."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from regionshift.settings import fields
from regionshift.settings.components import name_problems
from regionshift.settings.config import MigrationConfig
from regionshift.settings.deployment_config import deployment_text
from regionshift.settings.mistakes import FieldPath, Found, Mistake, write_path
from regionshift.settings.network import NetworkError, lay_out
from regionshift.settings.overlaps import overlaps
from regionshift.settings.quotas import ADVANCED_PARAMETER, SECRET
from regionshift.settings.regions import partition_of

_LARGEST_CONFIG = {"ssm": ADVANCED_PARAMETER, "secretsmanager": SECRET}


@dataclass(frozen=True)
class Rule:
    """One rule and the paths that must be right before it can be judged."""

    judge: Callable[[MigrationConfig], Iterator[Found]]
    needs: tuple[FieldPath, ...]


def _broken(path: FieldPath, found: str, allowed: str, nearest: str | None = None) -> Found:
    return path, Mistake(write_path(path), found, allowed, nearest)


def _ours(config: MigrationConfig) -> str:
    return f"a region of this environment: {', '.join(dict.fromkeys(config.all_regions))}"


def _regions_once(config: MigrationConfig) -> Iterator[Found]:
    first = {config.regions.primary: "regions.primary"}
    for place, region in enumerate(config.regions.secondaries):
        path: FieldPath = ("regions", "secondaries", place)
        if region in first:
            yield _broken(path, f'"{region}" again', f"each region once ({first[region]} has it)")
        first.setdefault(region, write_path(path))


def _one_partition(config: MigrationConfig) -> Iterator[Found]:
    partition = partition_of(config.regions.primary)
    for place, region in enumerate(config.regions.secondaries):
        if partition_of(region) != partition:
            found = f'"{region}" of partition {partition_of(region)}'
            allowed = f"regions of the primary's partition, {partition}: an account is in one only"
            yield _broken(("regions", "secondaries", place), found, allowed)


def _blocks_are_ours(config: MigrationConfig) -> Iterator[Found]:
    for region in config.network.region_cidrs:
        if region not in config.all_regions:
            path: FieldPath = ("network", "region_cidrs", region)
            yield _broken(path, f'"{region}"', _ours(config))


def _network_fits(config: MigrationConfig) -> Iterator[Found]:
    network, partition = config.network, partition_of(config.regions.primary)
    given = network.region_cidrs
    # Regions of another partition have slots of their own counting, and are told by their own rule.
    regions = [region for region in config.all_regions if partition_of(region) == partition]
    try:
        lay_out(network.vpc_cidr, regions, network.zones, given)
    except NetworkError as error:
        if error.region in given:
            path: FieldPath = ("network", "region_cidrs", str(error.region))
            yield _broken(path, f'"{given[str(error.region)]}"', f"blocks that fit and are apart: {error}")
        else:
            yield _broken(("network", "vpc_cidr"), f'"{network.vpc_cidr}"', str(error), _larger(config))


def _larger(config: MigrationConfig) -> str | None:
    space = ipaddress.IPv4Network(config.network.vpc_cidr)
    return f"{space.supernet(new_prefix=16)}" if space.prefixlen > 16 else None


def _waves_cover(config: MigrationConfig) -> Iterator[Found]:
    waves = config.deployment.waves
    seen: dict[str, int] = {}
    for number, wave in enumerate(waves):
        for place, region in enumerate(wave):
            path: FieldPath = ("deployment", "waves", number, place)
            if region not in config.all_regions:
                yield _broken(path, f'"{region}"', _ours(config))
            elif region in seen:
                yield _broken(path, f'"{region}" again', f"each region once (wave {seen[region] + 1} has it)")
            seen.setdefault(region, number)
    left_out = [region for region in dict.fromkeys(config.all_regions) if waves and region not in seen]
    if left_out:
        path = ("deployment", "waves")
        yield _broken(path, f"no {', '.join(left_out)}", "every region of the environment in one wave")
    elif waves and config.regions.primary not in waves[-1]:
        number = seen[config.regions.primary] + 1
        found = f"the primary {config.regions.primary} in wave {number}"
        yield _broken(("deployment", "waves"), found, f"the primary in the last wave, {len(waves)}")


def _waves_approved(config: MigrationConfig) -> Iterator[Found]:
    for place, number in enumerate(config.deployment.approve):
        if number > len(config.waves):
            path: FieldPath = ("deployment", "approve", place)
            yield _broken(path, str(number), f"the number of a wave, 1 to {len(config.waves)}")


def _alarms_stand_here(config: MigrationConfig) -> Iterator[Found]:
    for place, alarm in enumerate(config.deployment.alarms):
        if alarm.region not in config.all_regions:
            path: FieldPath = ("deployment", "alarms", place, "region")
            yield _broken(path, f'"{alarm.region}"', _ours(config))


def _emails_once(config: MigrationConfig) -> Iterator[Found]:
    seen: set[str] = set()
    for place, email in enumerate(config.alerts.emails):
        if email.casefold() in seen:
            yield _broken(("alerts", "emails", place), f'"{email}" again', "each address once")
        seen.add(email.casefold())


def _tags_apart(config: MigrationConfig) -> Iterator[Found]:
    seen: dict[str, str] = {}
    for key in config.tags:
        # Tag keys of IAM roles are not case-sensitive (IAM User Guide, "Rules for tagging").
        other = seen.setdefault(key.casefold(), key)
        if other != key:
            yield _broken(
                ("tags", key), f'the key "{key}"', f'keys that differ in more than case from "{other}"'
            )


def _boundary_is_ours(config: MigrationConfig) -> Iterator[Found]:
    """A boundary is a policy of the role's own account, or AWS's (IAM User Guide, "Permissions boundaries")."""
    if config.access.boundary is None:
        return
    _, partition, _, _, account, _ = config.access.boundary.split(":", 5)
    own = partition_of(config.regions.primary)
    if partition != own or account not in (config.account, "aws"):
        allowed = f"a policy of account {config.account} in partition {own}, or one of AWS"
        yield _broken(("access", "boundary"), f'"{config.access.boundary}"', allowed)


def _repository_is_there(config: MigrationConfig) -> Iterator[Found]:
    pipeline, path = config.pipeline, ("pipeline", "repository")
    if pipeline.repository is None:
        if pipeline.gitlab:
            yield _broken(path, "nothing", "the project on that GitLab: GROUP/PROJECT")
    elif not re.match(fields.ON_GITLAB if pipeline.gitlab else fields.ON_GITHUB, pipeline.repository):
        allowed = (
            "a project on GitLab, GROUP/PROJECT, without ids"
            if pipeline.gitlab
            else "a repository on GitHub, OWNER/NAME; of a project on GitLab pipeline.gitlab has the address"
        )
        yield _broken(path, f'"{pipeline.repository}"', allowed)


def _config_fits(config: MigrationConfig) -> Iterator[Found]:
    """What is really written: the names that the environment adds grow with its regions."""
    application, store = config.application, config.application.store
    limit = _LARGEST_CONFIG[store].most
    size = max(len(deployment_text(config, region).encode()) for region in config.all_regions)
    if size > limit:
        larger = "store: secretsmanager" if store == "ssm" else None
        path: FieldPath = ("application", "config")
        if not application.config:
            path = ("carry", "s3") if config.carry.s3 else ("application", "secrets")
        allowed = (
            f"up to {limit} bytes of JSON with store: {store}, in which application.config, carry.s3,"
            " and the names of regions, buckets and secrets stand"
        )
        yield _broken(path, f"{size} bytes of configuration", allowed, larger)


def _targets_apart(config: MigrationConfig) -> Iterator[Found]:
    for kind in config.carry.by_kind:
        for earlier, later in overlaps(config, kind):
            other = write_path(("carry", kind, earlier))
            found = f"the same targets as {other}, in part or whole"
            yield _broken(
                ("carry", kind, later), found, "each target once: exclude in one of them what both have"
            )


def _names_fit(config: MigrationConfig) -> Iterator[Found]:
    told: set[tuple[str, str]] = set()
    for problem in name_problems(config):
        about = (problem.kind.label, problem.component)
        if about in told:
            continue
        told.add(about)
        path: FieldPath = ("project",)
        if problem.component in config.application.secrets:
            path = ("application", "secrets", problem.component)
        found = f'{problem.kind.label} "{problem.name}"'
        yield _broken(path, found, f"names that AWS takes; this one {problem.problem}")


_REGIONS: FieldPath = ("regions",)
RULES = (
    Rule(_regions_once, ()),
    Rule(_one_partition, (("regions", "primary"),)),
    Rule(_blocks_are_ours, (_REGIONS,)),
    Rule(_network_fits, (("regions", "primary"), ("network",))),
    Rule(_waves_cover, (_REGIONS, ("deployment", "waves"))),
    Rule(_waves_approved, (_REGIONS, ("deployment", "waves"), ("deployment", "approve"))),
    Rule(_alarms_stand_here, (_REGIONS, ("deployment", "alarms"))),
    Rule(_emails_once, (("alerts", "emails"),)),
    Rule(_boundary_is_ours, (("access", "boundary"), ("account",), ("regions", "primary"))),
    Rule(_repository_is_there, (("pipeline",),)),
    Rule(_tags_apart, ()),
    Rule(
        _config_fits,
        (
            ("application",),
            ("carry", "s3"),
            _REGIONS,
            ("project",),
            ("environment",),
            ("environment_suffix",),
            ("account",),
        ),
    ),
    Rule(
        _targets_apart,
        (("carry",), _REGIONS, ("project",), ("environment",), ("environment_suffix",), ("account",)),
    ),
    Rule(_names_fit, (("project",), ("environment",), ("environment_suffix",), ("account",))),
)


def broken_rules(config: MigrationConfig, wrong: tuple[FieldPath, ...] = ()) -> list[Found]:
    """Every broken rule between fields; those that need a path of ``wrong`` are left out."""
    return [
        broken
        for rule in RULES
        if not any(_touch(need, path) for need in rule.needs for path in wrong)
        for broken in rule.judge(config)
        if not any(_touch(broken[0], path) for path in wrong)
    ]


def _touch(one: FieldPath, other: FieldPath) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]
