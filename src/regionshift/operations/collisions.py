"""Resources that already have a name that a change is about to use, and that the state does not know.

Only names that the preview would create are looked for, so a run that creates nothing makes no call. Without a preview,
the names of the settings that the state does not know. Creating a topic or queue that exists returns the existing one
(SNS and SQS API References, CreateTopic and CreateQueue). So only this check keeps somebody else's from being taken
over, written to and deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.aws.resource_finders import NAMED, Look
from regionshift.engine.events import ResourceStep
from regionshift.infrastructure.site import Site
from regionshift.infrastructure.worker_rights import foreseen, worker_policies
from regionshift.operations.environment import Environment
from regionshift.report.values import Finding
from regionshift.settings import components as named
from regionshift.settings.components import EnvironmentName, every_name
from regionshift.settings.config import MigrationConfig
from regionshift.settings.names import NameKind
from regionshift.waiting import Waiter

_AT_ONCE = 16
_BUCKET = "aws:s3/bucket:Bucket"
_Tags = Mapping[str, str]


def collision_findings(environment: Environment, steps: Sequence[ResourceStep]) -> list[Finding]:
    """An error for each name that ``steps`` create and that is taken; a warning for each that cannot be looked up."""
    new = [step for step in steps if step.op == "create" and step.type in _TYPES.values() and step.region]
    pairs = [(step, _name(step.type, step.new)) for step in new]
    # A resource without a name gets one from the engine.
    return _look_for_all(
        environment,
        [WantedName(s.type, name, s.region or "", s.name) for s, name in pairs if isinstance(name, str)],
    )


def taken_findings(environment: Environment) -> list[Finding]:
    """The same without a plan, for every name of the settings that the state does not have.

    Raises:
        RegionshiftError: the engine's state cannot be read.
    """
    known = {
        (resource["type"], _name(resource["type"], resource.get("inputs") or {}))
        for resource in environment.engine.resources()
        if resource["type"] in _TYPES.values()
    }
    wanted = looked_for(environment.config, environment.regions)
    return _look_for_all(environment, [each for each in wanted if (each.type, each.name) not in known])


@dataclass(frozen=True)
class WantedName:
    """A name that a change would use. ``resource``: the logical name, if there is a plan."""

    type: str
    name: str
    region: str
    resource: str | None = None


def looked_for(config: MigrationConfig, regions: Collection[str]) -> list[WantedName]:
    """Every name in ``regions`` that the program would use with these settings and that somebody may have taken."""
    sites = [Site.by_settings(config, region) for region in regions]
    policies = {site.name(each) for site in sites for each in worker_policies(site, foreseen(site)).managed}
    return [
        WantedName(_TYPES[each.kind], each.name, each.region)
        for each in every_name(config)
        if each.kind in _TYPES and each.region in regions and _is_made(config, each, policies)
    ]


def _is_made(config: MigrationConfig, name: EnvironmentName, policies: Collection[str]) -> bool:
    """Whether the program makes it now: some roles, policies and log groups only have a reserved name."""
    if name.kind is NameKind.POLICY:
        return name.name in policies
    if name.component == named.REPLICATION_ROLE.part and name.kind is NameKind.ROLE:
        return name.region == config.regions.primary and bool(config.regions.secondaries)
    return config.network.flow_logs or name.component != named.FLOW_LOG_GROUP.part


def _look_for_all(environment: Environment, wanted: Sequence[WantedName]) -> list[Finding]:
    with environment.waiter.shared(_AT_ONCE) as (pool, waiter):
        found = pool.map(lambda each: _finding(environment, each, waiter), wanted)
        return [finding for finding in found if finding is not None]


def _finding(environment: Environment, wanted: WantedName, waiter: Waiter) -> Finding | None:
    what = f"{wanted.type.rsplit(':', 1)[-1]} {wanted.name}"
    try:
        # One of ours may have just been deleted. For somebody else's nobody waits.
        tags = waiter.until(
            lambda: _tags(environment, wanted),
            lambda found: environment.config.target == "local" or not _is_ours(environment, found or {}),
        )
    except (ClientError, BotoCoreError) as error:
        return Finding(
            "collision-unknown",
            "warning",
            f"it cannot be seen whether {what} is free: {error}",
            wanted.region,
            "look yourself, or give these credentials the permission that the message names",
        )
    if tags is None:
        return None
    if not _is_ours(environment, tags):
        remedy = "delete or rename it, or change `project` or `environment`"
        why = f"{what} exists and is not this environment's: it {tagged(tags)}"
        return Finding("collision", "error", why, wanted.region, remedy)
    if environment.config.target == "local":
        return None  # the local provider takes over what a killed run made
    take_over = f"`pulumi import {wanted.type} {wanted.resource} {wanted.name}`, " if wanted.resource else ""
    return Finding(
        "collision",
        "error",
        f"{what} has this environment's tags, and the state does not know it",
        wanted.region,
        f"{take_over}delete it, or give the `state` that knows it",
    )


def tagged(tags: _Tags) -> str:
    """What the tags say of whose it is."""
    if not {"Project", "Environment"} <= tags.keys():
        return "has no tags that say whose it is"
    return f'has the tags of project "{tags["Project"]}", environment "{tags["Environment"]}"'


def _is_ours(environment: Environment, tags: _Tags) -> bool:
    config = environment.config
    return (tags.get("Project"), tags.get("Environment")) == (config.project, config.suffix)


def _name(kind: str, inputs: Mapping[str, Any]) -> object:
    return inputs.get("bucket" if kind == _BUCKET else "name")


def _tags(environment: Environment, wanted: WantedName) -> _Tags | None:
    """The tags of the resource that has this name; None when there is none."""
    inputs = {"name": wanted.name, "bucket": wanted.name}
    found = NAMED[wanted.type](
        Look(environment.clients, environment.config.account, wanted.region, inputs, {})
    )
    return found[1] if found else None


_TYPES: Mapping[NameKind, str] = MappingProxyType(
    {
        NameKind.BUCKET: _BUCKET,
        NameKind.ROLE: "aws:iam/role:Role",
        NameKind.POLICY: "aws:iam/policy:Policy",
        NameKind.FUNCTION: "aws:lambda/function:Function",
        NameKind.LOG_GROUP: "aws:cloudwatch/logGroup:LogGroup",
        NameKind.SECRET: "aws:secretsmanager/secret:Secret",
        NameKind.TOPIC: "aws:sns/topic:Topic",
        NameKind.QUEUE: "aws:sqs/queue:Queue",
    }
)
