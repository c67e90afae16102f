"""What already stands under a name that a change is about to use, and that the state does not know.

Only what the preview is about to create is looked for, so a run that creates nothing asks nothing. Topics and
queues are left out: making one that is there gives back the same one (SNS and SQS API References, CreateTopic
and CreateQueue).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.aws.clients import Clients
from regionshift.engine.events import Step
from regionshift.operations.environment import Environment
from regionshift.report.values import Finding

_AT_ONCE = 16
_GONE = re.compile(r"NotFound|NoSuch|^404$")
_Tags = Mapping[str, str]
_Look = Callable[[Clients, str, str], _Tags | None]


def collision_findings(environment: Environment, steps: Sequence[Step]) -> list[Finding]:
    """An error for each thing in the way of what ``steps`` create; a warning for what cannot be looked for."""
    new = [step for step in steps if step.op == "create" and step.type in _LOOKS and step.region]
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        found = pool.map(lambda step: _finding(environment, step), new)
        return [finding for finding in found if finding is not None]


def _finding(environment: Environment, step: Step) -> Finding | None:
    field, look = _LOOKS[step.type]
    name, region = step.new.get(field), step.region or ""
    if not isinstance(name, str):
        return None  # the engine will make one up
    what = f"{step.type.rsplit(':', 1)[-1]} {name}"
    try:
        tags = look(environment.clients, region, name)
    except (ClientError, BotoCoreError) as error:
        return Finding(
            "collision-unknown",
            "warning",
            f"it cannot be seen whether {what} is free: {error}",
            region,
            "look yourself, or give these credentials the permission that the message names",
        )
    if tags is None:
        return None
    if not _is_ours(environment, tags):
        remedy = "delete or rename it, or change `project` or `environment`"
        why = f"{what} exists and is not this environment's: it {tagged(tags)}"
        return Finding("collision", "error", why, region, remedy)
    if environment.config.target == "local":
        return None  # the local provider takes over what a killed run made
    return Finding(
        "collision",
        "error",
        f"{what} has this environment's tags, and the state does not know it",
        region,
        f"`pulumi import {step.type} {step.name} {name}`, delete it, or give the `state` that knows it",
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
    }
)
