"""What already stands under a name that a change is about to use, and that the state does not know.

Only what the preview is about to create is looked for, so a run that creates nothing asks nothing; without a
preview, what the settings name and the state does not know. Making a topic or queue that is there gives back the same
one (SNS and SQS API References, CreateTopic and CreateQueue), so nothing but this look keeps somebody else's from being
taken over, written to and deleted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.aws.clients import Clients
from regionshift.engine.events import ResourceStep
from regionshift.operations.environment import Environment
from regionshift.report.values import Finding
from regionshift.settings import components as named
from regionshift.settings.check import EnvironmentName, every_name
from regionshift.settings.config import MigrationConfig
from regionshift.settings.names import NameKind
from regionshift.settings.regions import partition_of

_AT_ONCE = 16
_GONE = re.compile(r"NotFound|NoSuch|NonExistent|DoesNotExist|^404$")
_Tags = Mapping[str, str]
_Look = Callable[[Clients, str, str], _Tags | None]


def collision_findings(environment: Environment, steps: Sequence[ResourceStep]) -> list[Finding]:
    """An error for each thing in the way of what ``steps`` create; a warning for what cannot be looked for."""
    new = [step for step in steps if step.op == "create" and step.type in _LOOKS and step.region]
    pairs = [(step, step.new.get(_LOOKS[step.type][0])) for step in new]
    # What has no name yet gets one that the engine makes up.
    return _look_for_all(
        environment,
        [WantedName(s.type, name, s.region or "", s.name) for s, name in pairs if isinstance(name, str)],
    )


def taken_findings(environment: Environment) -> list[Finding]:
    """The same without a plan: of every name that the environment has by its settings, and its state not yet.

    Raises:
        RegionshiftError: the engine's state cannot be read.
    """
    known = {
        (resource["type"], (resource.get("inputs") or {}).get(_LOOKS[resource["type"]][0]))
        for resource in environment.engine.resources()
        if resource["type"] in _LOOKS
    }
    wanted = looked_for(environment.config, environment.regions)
    return _look_for_all(environment, [each for each in wanted if (each.type, each.name) not in known])


@dataclass(frozen=True)
class WantedName:
    """A name that is to be used. ``resource``: what the program calls the thing, where a plan says it."""

    type: str
    name: str
    region: str
    resource: str | None = None


def looked_for(config: MigrationConfig, regions: Collection[str]) -> list[WantedName]:
    """Every name in ``regions`` that can be taken, of what the program makes there by these settings."""
    return [
        WantedName(_TYPES[each.kind], each.name, each.region)
        for each in every_name(config)
        if each.kind in _TYPES and each.region in regions and _is_made(config, each)
    ]


def _is_made(config: MigrationConfig, name: EnvironmentName) -> bool:
    """Some roles and log groups are named for the day when they are needed."""
    if name.component == named.REPLICATION_ROLE.part and name.kind is NameKind.ROLE:
        return name.region == config.regions.primary and bool(config.regions.secondaries)
    return config.network.flow_logs or name.component != named.FLOW_LOG_GROUP.part


def _look_for_all(environment: Environment, wanted: Sequence[WantedName]) -> list[Finding]:
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        found = pool.map(lambda each: _finding(environment, each), wanted)
        return [finding for finding in found if finding is not None]


def _finding(environment: Environment, wanted: WantedName) -> Finding | None:
    _, look = _LOOKS[wanted.type]
    what = f"{wanted.type.rsplit(':', 1)[-1]} {wanted.name}"
    try:
        tags = look(environment.clients, wanted.region, wanted.name)
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


def _bucket(clients: Clients, region: str, name: str) -> _Tags | None:
    s3 = clients.get("s3", region)
    try:
        s3.head_bucket(Bucket=name)
    except ClientError as error:
        # S3 API Reference, HeadBucket: 404 where there is none, 403 where it is another account's.
        return None if error.response["Error"]["Code"] == "404" else {}
    try:
        return {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=name)["TagSet"]}
    except ClientError:
        return {}  # without tags it is not ours


def _role(clients: Clients, region: str, name: str) -> _Tags | None:
    try:
        role = clients.get("iam", region).get_role(RoleName=name)["Role"]
    except ClientError as error:
        return _unless_gone(error)
    return {tag["Key"]: tag["Value"] for tag in role.get("Tags", [])}


def _function(clients: Clients, region: str, name: str) -> _Tags | None:
    try:
        return clients.get("lambda", region).get_function(FunctionName=name).get("Tags", {})
    except ClientError as error:
        return _unless_gone(error)


def _log_group(clients: Clients, region: str, name: str) -> _Tags | None:
    logs = clients.get("logs", region)
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name):
        for group in page["logGroups"]:
            if group["logGroupName"] == name:
                arn = group["arn"].removesuffix(":*")
                return logs.list_tags_for_resource(resourceArn=arn).get("tags", {})
    return None


def _secret(clients: Clients, region: str, name: str) -> _Tags | None:
    try:
        secret = clients.get("secretsmanager", region).describe_secret(SecretId=name)
    except ClientError as error:
        return _unless_gone(error)
    if "DeletedDate" in secret:
        return None  # what waits for its deletion is told of elsewhere, or taken back
    return {tag["Key"]: tag["Value"] for tag in secret.get("Tags", [])}


def _topic(clients: Clients, region: str, name: str) -> _Tags | None:
    sns = clients.get("sns", region)
    # No call of SNS finds a topic by its name: the ARN is made of the account that asks.
    account = clients.get("sts", region).get_caller_identity()["Account"]
    try:
        found = sns.list_tags_for_resource(
            ResourceArn=f"arn:{partition_of(region)}:sns:{region}:{account}:{name}"
        )
    except ClientError as error:
        return _unless_gone(error)
    return {tag["Key"]: tag["Value"] for tag in found["Tags"]}


def _queue(clients: Clients, region: str, name: str) -> _Tags | None:
    sqs = clients.get("sqs", region)
    try:
        return sqs.list_queue_tags(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"]).get("Tags", {})
    except ClientError as error:
        return _unless_gone(error)


def _unless_gone(error: ClientError) -> _Tags | None:
    if not _GONE.search(error.response["Error"]["Code"]):
        raise error
    return None


_LOOKS: Mapping[str, tuple[str, _Look]] = MappingProxyType(
    {
        "aws:s3/bucket:Bucket": ("bucket", _bucket),
        "aws:iam/role:Role": ("name", _role),
        "aws:lambda/function:Function": ("name", _function),
        "aws:cloudwatch/logGroup:LogGroup": ("name", _log_group),
        "aws:secretsmanager/secret:Secret": ("name", _secret),
        "aws:sns/topic:Topic": ("name", _topic),
        "aws:sqs/queue:Queue": ("name", _queue),
    }
)
_TYPES: Mapping[NameKind, str] = MappingProxyType(
    {
        NameKind.BUCKET: "aws:s3/bucket:Bucket",
        NameKind.ROLE: "aws:iam/role:Role",
        NameKind.FUNCTION: "aws:lambda/function:Function",
        NameKind.LOG_GROUP: "aws:cloudwatch/logGroup:LogGroup",
        NameKind.SECRET: "aws:secretsmanager/secret:Secret",
        NameKind.TOPIC: "aws:sns/topic:Topic",
        NameKind.QUEUE: "aws:sqs/queue:Queue",
    }
)
