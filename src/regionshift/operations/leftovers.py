"""Prove that an environment is gone: look for all resources with its tags or names.

Neither way sees all. The tagging API does not know every type, and it is late for new and for deleted resources
(Resource Groups Tagging API Reference, "GetResources": "tagged or previously tagged resources"). So each resource that
it lists is looked up in its own service, and known names are looked up too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from regionshift.aws.clients import Clients
from regionshift.aws.errors import told_plainly
from regionshift.aws.resource_finders import FINDS, KEY_WAITS, Look, arn_of, still_exists, unless_gone
from regionshift.settings.components import every_name
from regionshift.settings.config import MigrationConfig
from regionshift.settings.names import NameKind
from regionshift.settings.regions import partition_of

_BY_NAME = MappingProxyType(
    {
        NameKind.ALARM: "aws:cloudwatch/metricAlarm:MetricAlarm",
        NameKind.DASHBOARD: "aws:cloudwatch/dashboard:Dashboard",
        NameKind.LOG_GROUP: "aws:cloudwatch/logGroup:LogGroup",
        NameKind.POLICY: "aws:iam/policy:Policy",
        NameKind.ROLE: "aws:iam/role:Role",
    }
)
"""What the tagging API does not know, or not of everything."""
_TAGGED_BY_NAME = MappingProxyType(
    {
        NameKind.BUCKET: "aws:s3/bucket:Bucket",
        NameKind.FUNCTION: "aws:lambda/function:Function",
        NameKind.QUEUE: "aws:sqs/queue:Queue",
        NameKind.SECRET: "aws:secretsmanager/secret:Secret",
        NameKind.STATE_MACHINE: "aws:sfn/stateMachine:StateMachine",
        NameKind.TOPIC: "aws:sns/topic:Topic",
    }
)
"""What it does not know at once, and is the environment's when it has its tags too."""


@dataclass(frozen=True)
class Leftover:
    """A resource of the environment that still exists. ``until``: when AWS deletes it, if that is scheduled."""

    what: str
    region: str
    until: datetime | None = None


_Look = Callable[[Clients, MigrationConfig, str], Iterator[Leftover]]


def look_for_leftovers(clients: Clients, config: MigrationConfig, regions: Sequence[str]) -> list[Leftover]:
    """Everything of the environment that still exists in ``regions``.

    Raises:
        AwsFailed: a region or service cannot be searched.
    """
    looks = (_tagged, _named_and_tagged, _networks, _parameters, _named, _secrets)
    return _look(looks, clients, config, regions)


def look_for_tagged(clients: Clients, config: MigrationConfig, regions: Sequence[str]) -> list[Leftover]:
    """The resources with the environment's tags, whether it is up or not. Raises as `look_for_leftovers`."""
    return _look((_tagged, _named_and_tagged, _networks), clients, config, regions)


def _look(
    looks: Sequence[_Look], clients: Clients, config: MigrationConfig, regions: Sequence[str]
) -> list[Leftover]:
    def ask(job: tuple[_Look, str]) -> list[Leftover]:
        look, region = job
        with told_plainly(region, "what is left"):
            return list(look(clients, config, region))

    jobs = [(look, region) for region in regions for look in looks]
    with ThreadPoolExecutor(max_workers=8) as pool:
        found = pool.map(ask, jobs)
    return sorted({left for lefts in found for left in lefts}, key=lambda left: (left.region, left.what))


def still_there(leftovers: Sequence[Leftover]) -> list[Leftover]:
    """The leftovers whose deletion AWS has not scheduled."""
    return [left for left in leftovers if left.until is None]


def _tags(config: MigrationConfig) -> dict[str, str]:
    return {"Project": config.project, "Environment": config.suffix}


def _tagged(clients: Clients, config: MigrationConfig, region: str) -> Iterator[Leftover]:
    pages = (
        clients.get("resourcegroupstaggingapi", region)
        .get_paginator("get_resources")
        .paginate(TagFilters=[{"Key": key, "Values": [value]} for key, value in _tags(config).items()])
    )
    for page in pages:
        for resource in page["ResourceTagMappingList"]:
            arn = resource["ResourceARN"]
            if ":kms:" in arn:
                yield from _key(clients, region, arn)
            elif ":secretsmanager:" in arn:
                continue  # a deleted one keeps its tags; `_secrets` knows its date
            elif still_exists(Look(clients, config.account, region, {}, _tags(config)), arn):
                yield Leftover(arn, region)


def _key(clients: Clients, region: str, arn: str) -> Iterator[Leftover]:
    found = unless_gone(clients.get("kms", region).describe_key, KeyId=arn)
    if found is not None:
        key = found["KeyMetadata"]
        until = key.get("DeletionDate") if key["KeyState"] in KEY_WAITS else None
        yield Leftover(arn, region, until)


def _secrets(clients: Clients, config: MigrationConfig, region: str) -> Iterator[Leftover]:
    for secret in secrets_of(clients, config, region):
        yield Leftover(secret["ARN"], region, secret.get("DeletedDate"))


def secrets_of(clients: Clients, config: MigrationConfig, region: str) -> Iterator[Mapping[str, Any]]:
    """The environment's secrets by DescribeSecret, also those that wait for their deletion.

    ListSecrets alone is up to five minutes late (Secrets Manager API Reference, "ListSecrets").
    """
    prefix, client = config.names.secret("", region), clients.get("secretsmanager", region)
    pages = client.get_paginator("list_secrets").paginate(
        IncludePlannedDeletion=True, Filters=[{"Key": "name", "Values": [prefix]}]
    )
    for page in pages:
        for listed in page["SecretList"]:
            if (found := unless_gone(client.describe_secret, SecretId=listed["ARN"])) is not None:
                yield found


def _parameters(clients: Clients, config: MigrationConfig, region: str) -> Iterator[Leftover]:
    path = config.names.environment_path(region)
    pages = (
        clients.get("ssm", region)
        .get_paginator("describe_parameters")
        .paginate(ParameterFilters=[{"Key": "Path", "Option": "Recursive", "Values": [path]}])
    )
    for page in pages:
        for parameter in page["Parameters"]:
            yield Leftover(f"parameter {parameter['Name']}", region)


def _networks(clients: Clients, config: MigrationConfig, region: str) -> Iterator[Leftover]:
    wanted = [{"Name": f"tag:{key}", "Values": [value]} for key, value in _tags(config).items()]
    pages = clients.get("ec2", region).get_paginator("describe_vpcs").paginate(Filters=wanted)  # type: ignore[arg-type]
    for page in pages:
        yield from (Leftover(_vpc(config, region, vpc["VpcId"]), region) for vpc in page["Vpcs"])


def _vpc(config: MigrationConfig, region: str, vpc: str) -> str:
    return (
        f"arn:{partition_of(region)}:ec2:{region}:{config.account}:vpc/{vpc}"  # as the tagging API names it
    )


def _named_and_tagged(clients: Clients, config: MigrationConfig, region: str) -> Iterator[Leftover]:
    for each in every_name(config):
        kind = _TAGGED_BY_NAME.get(each.kind)
        if kind and each.region == region:
            inputs = {"name": each.name, "bucket": each.name}
            look = Look(clients, config.account, region, inputs, _tags(config))
            for found in FINDS[kind](look):
                arn = found if found.startswith("arn:") else arn_of(look, kind, each.name)
                yield Leftover(arn, region)


def _named(clients: Clients, config: MigrationConfig, region: str) -> Iterator[Leftover]:
    for each in every_name(config):
        if each.kind in _BY_NAME and each.region in (region, None):
            inputs = {"name": each.name, "dashboardName": each.name}
            look = Look(clients, config.account, region, inputs, owner={})
            yield from (
                Leftover(f"{each.kind.label} {name}", region) for name in FINDS[_BY_NAME[each.kind]](look)
            )
