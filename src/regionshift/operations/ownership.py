"""Check that resources which are deleted or changed are the environment's: by type, name, account and tags.

The engine deletes and changes what its state names, and anybody who can write the state can name anything. So before
a resource of the state is emptied or deleted, AWS is asked whose it is. A resource that is changed must have the name
that the settings give it. A resource that is gone passes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import wait
from functools import partial
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from regionshift.aws.errors import AwsFailed, told_plainly
from regionshift.aws.resource_finders import NAMED, Look
from regionshift.engine.events import ResourceStep
from regionshift.errors import Refused
from regionshift.infrastructure.rights import RIGHTS
from regionshift.infrastructure.site import MANAGED_BY
from regionshift.operations.collisions import tagged
from regionshift.operations.environment import Environment
from regionshift.report.values import Finding
from regionshift.settings.components import COMPONENTS, FUNCTION, WORKER, replication_failed_alarm
from regionshift.settings.names import NameKind, Names

Resource = Mapping[str, Any]
_Question = Callable[[], None]

_AT_ONCE = 8
_BUCKET = "aws:s3/bucket:Bucket"
_KEY = "aws:kms/key:Key"
_TOPIC = "aws:sns/topic:Topic"
_QUEUE = "aws:sqs/queue:Queue"
_PROVIDER = "pulumi:providers:aws"
# EC2 API Reference, DescribeVpcs and so on: the operation, its list, and the filter that names ids (a region of an
# environment has far less than the 200 values that one takes).
_NETWORKS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "aws:ec2/flowLog:FlowLog": ("describe_flow_logs", "FlowLogs", "flow-log-id"),
        "aws:ec2/routeTable:RouteTable": ("describe_route_tables", "RouteTables", "route-table-id"),
        "aws:ec2/securityGroup:SecurityGroup": ("describe_security_groups", "SecurityGroups", "group-id"),
        "aws:ec2/subnet:Subnet": ("describe_subnets", "Subnets", "subnet-id"),
        "aws:ec2/vpc:Vpc": ("describe_vpcs", "Vpcs", "vpc-id"),
        "aws:ec2/vpcEndpoint:VpcEndpoint": ("describe_vpc_endpoints", "VpcEndpoints", "vpc-endpoint-id"),
    }
)
_KINDS: Mapping[str, tuple[NameKind, str]] = MappingProxyType(
    {
        "aws:cloudwatch/dashboard:Dashboard": (NameKind.DASHBOARD, "dashboardName"),
        "aws:cloudwatch/logGroup:LogGroup": (NameKind.LOG_GROUP, "name"),
        "aws:cloudwatch/metricAlarm:MetricAlarm": (NameKind.ALARM, "name"),
        "aws:iam/policy:Policy": (NameKind.POLICY, "name"),
        "aws:iam/role:Role": (NameKind.ROLE, "name"),
        "aws:kms/alias:Alias": (NameKind.KEY_ALIAS, "name"),
        "aws:lambda/function:Function": (NameKind.FUNCTION, "name"),
        "aws:secretsmanager/secret:Secret": (NameKind.SECRET, "name"),
        "aws:sfn/stateMachine:StateMachine": (NameKind.STATE_MACHINE, "name"),
        _TOPIC: (NameKind.TOPIC, "name"),
        _QUEUE: (NameKind.QUEUE, "name"),
        "aws:ssm/parameter:Parameter": (NameKind.PARAMETER, "name"),
    }
)
"""Types with a name of the environment: its kind, and the property that has it."""

_BY_ARN: Mapping[NameKind, str] = MappingProxyType(
    {
        NameKind.POLICY: "policy/",
        NameKind.SECRET: "secret:",
        NameKind.STATE_MACHINE: "stateMachine:",
        NameKind.TOPIC: "",
    }
)
"""Kinds whose id is an ARN, and the text in it before the name."""

_PARTS: Mapping[str, tuple[NameKind, str]] = MappingProxyType(
    {
        "aws:iam/rolePolicy:RolePolicy": (NameKind.ROLE, ":"),
        "aws:secretsmanager/secretVersion:SecretVersion": (NameKind.SECRET, "|"),
        "aws:sns/topicPolicy:TopicPolicy": (NameKind.TOPIC, ""),
        "aws:sns/topicSubscription:TopicSubscription": (NameKind.TOPIC, ":"),
        "aws:sqs/queuePolicy:QueuePolicy": (NameKind.QUEUE, ""),
    }
)
"""Types that are a part of a named resource: its kind, and the sign in the part's id behind the resource's id."""
_OF_A_BUCKET = "aws:s3/bucket"


def ownership_findings(environment: Environment, steps: Sequence[ResourceStep]) -> list[Finding]:
    """An error when ``steps`` change or delete a resource that is not this environment's."""
    changing = {step.urn: step for step in steps if step.changes and step.op != "create"}
    if not changing:
        return []
    found = [each for each in environment.engine.resources() if each.get("urn") in changing]
    with_region = [(changing[each["urn"]].region or "", each) for each in found]
    regions = {region for region, _ in with_region}
    doomed = [(region, each) for region, each in with_region if changing[each["urn"]].op != "update"]
    try:
        for region, each in with_region:
            _require_name(environment, region, each, regions)
        require_ours(environment, doomed)
    except Refused as error:
        return [Finding("ownership", "error", error.message, None, error.remedy or "")]
    except AwsFailed as error:
        why = f"it cannot be asked whose it is what would be deleted: {error.message}"
        return [Finding("ownership-unknown", "warning", why, None, error.remedy or "look yourself")]
    return []


def require_ours(environment: Environment, doomed: Collection[tuple[str, Resource]]) -> None:
    """Check that all resources in ``doomed`` are this environment's. Changes nothing.

    Args:
        doomed: each resource of the state, with its region.

    Raises:
        Refused: one of them is not.
        AwsFailed: AWS could not be asked.
    """
    regions = {region for region, _ in doomed}
    for region, resource in doomed:
        _require_made_here(region, resource)
        _require_name(environment, region, resource, regions)
    _ask_all(environment, [*_bucket_questions(environment, doomed), *_tag_questions(environment, doomed)])


def require_our_buckets(environment: Environment, buckets: Iterable[tuple[str, str]]) -> None:
    """Check that every bucket, as (region, name), is this environment's, or gone. Raises as :func:`require_ours`."""
    _ask_all(environment, [partial(_require_bucket, environment, *each) for each in buckets])


def _ask_all(environment: Environment, questions: Sequence[_Question]) -> None:
    """Ask AWS about every resource in parallel: a call that fails must not hide a refusal for another resource.

    A refusal is repeated while tags may be stale. Raises the first refusal, else the first failure.
    """
    with environment.waiter.shared(_AT_ONCE) as (pool, waiter):
        asked = [pool.submit(waiter.past, each, _is_refusal) for each in questions]
        wait(asked)
    for error in sorted(filter(None, (each.exception() for each in asked)), key=_is_refusal, reverse=True):
        raise error


def _is_refusal(error: BaseException) -> bool:
    return isinstance(error, Refused)


def _require_made_here(region: str, resource: Resource) -> None:
    """Raise for an unknown type, or a provider of another region: the engine uses the provider to delete it."""
    kind, thing = resource["type"], str(resource.get("id") or resource["urn"])
    if kind not in RIGHTS:
        raise _foreign(kind, thing, region, "is of a type that regionshift makes none of")
    provider = str(resource.get("provider") or "")
    if not region or (provider and f"::{_PROVIDER}::aws-{region}::" not in provider):
        raise _foreign(kind, thing, region, "is not in the region that its name says")


def _require_bucket(environment: Environment, region: str, bucket: str) -> None:
    config, call = environment.config, environment.clients.call
    try:
        call(region, "s3", "head_bucket", Bucket=bucket, ExpectedBucketOwner=config.account)
        listed = call(region, "s3", "get_bucket_tagging", Bucket=bucket, ExpectedBucketOwner=config.account)
    except AwsFailed as error:
        # S3 API Reference, HeadBucket: 404 where there is none, 403 where the owner is another.
        if error.code in ("404", "NoSuchBucket"):
            return
        if error.code in ("403", "AccessDenied"):
            raise _foreign(
                "bucket", bucket, region, f"is not account {config.account}'s, or may not be seen"
            ) from error
        if error.code != "NoSuchTagSet":
            raise
        listed = {"TagSet": []}
    tags = {tag["Key"]: tag["Value"] for tag in listed["TagSet"]}
    named = _names(config.names, region, NameKind.BUCKET, ())
    # A bucket that `carry` made has the name that the user gave. Its own tag says so, and whose it is.
    if bucket not in named and tags.get("Name") != f"carried-{bucket}-{region}":
        raise _foreign("bucket", bucket, region, "is not called as the settings call it")
    _require_own_tags(environment, "bucket", bucket, region, tags)


def _called(resource: Resource) -> str:
    field = _KINDS[resource["type"]][1]
    return str((resource.get("outputs") or {}).get(field) or (resource.get("inputs") or {}).get(field) or "")


def _require_name(
    environment: Environment, region: str, resource: Resource, regions: Collection[str]
) -> None:
    if resource["type"] in _PARTS:
        _require_whole(environment, region, resource)
    if resource["type"] not in _KINDS:
        return
    kind, found = _KINDS[resource["type"]][0], _called(resource)
    names, identity = environment.config.names, str(resource.get("id") or "")
    path = names.parameter("", region) if kind is NameKind.PARAMETER else names.secret("", region)
    named = found in _names(names, region, kind, {*regions, *environment.config.all_regions})
    if identity and not found:
        raise _foreign(kind.label, identity, region, "has no name there")
    if found and not named and not (kind in (NameKind.PARAMETER, NameKind.SECRET) and found.startswith(path)):
        raise _foreign(kind.label, found, region, "is not called as the settings call it")
    # The engine uses the id, whatever the other fields say.
    if found and identity and not _is_id_of(identity, found, kind, region, environment.config.account):
        raise _foreign(
            kind.label, identity, region, f"is not {found} of account {environment.config.account}"
        )


def _require_whole(environment: Environment, region: str, part: Resource) -> None:
    """Raise when a part (a policy, a subscription, a version) belongs to a resource whose name is not ours."""
    kind, sign = _PARTS[part["type"]]
    identity, names, account = str(part.get("id") or ""), environment.config.names, environment.config.account
    whole = identity.rpartition(sign)[0] if sign else identity
    known = _names(names, region, kind, ())
    if kind is NameKind.SECRET and (name := whole.rpartition(":")[2][:-7]).startswith(
        names.secret("", region)
    ):
        known = {name}
    if identity and not any(_is_id_of(whole, name, kind, region, account) for name in known):
        raise _foreign(f"part of a {kind.label}", identity, region, "is not called as the settings call it")


def _is_id_of(identity: str, name: str, kind: NameKind, region: str, account: str) -> bool:
    """Whether ``identity`` is an engine id of that resource: its name, its ARN, or the URL of a queue."""
    if kind is NameKind.QUEUE:
        return urlsplit(identity).path == f"/{account}/{name}"
    if kind not in _BY_ARN:
        return identity == name
    at, owner, resource = (*identity.split(":", 5), "", "", "", "", "", "")[3:6]
    behind = resource.removeprefix(_BY_ARN[kind])
    # Secrets Manager puts a dash and six characters behind a name (its User Guide, "What's in a secret?").
    fits = behind == name or (kind is NameKind.SECRET and behind[:-6] == f"{name}-")
    place = "" if kind is NameKind.POLICY else region  # IAM is global
    return (at, owner) == (place, account) and fits


def _names(names: Names, region: str, kind: NameKind, others: Iterable[str]) -> set[str]:
    """Every name of that kind in ``region``, even if the settings no longer name the region."""
    found = {component.name(names, region) for component in COMPONENTS if component.kind is kind}
    if kind is NameKind.LOG_GROUP:
        found |= {names.function_log_group(each.name(names, region)) for each in (FUNCTION, WORKER)}
    if kind is NameKind.ALARM:
        found |= {replication_failed_alarm(other).name(names, region) for other in others}
    return found


def _bucket_questions(
    environment: Environment, doomed: Collection[tuple[str, Resource]]
) -> Iterable[_Question]:
    """One question for each bucket, also for its policy, logging and so on, whose id is the bucket's name."""
    buckets = {
        (region, str(resource.get("id") or "").partition(",")[0])
        for region, resource in doomed
        if resource["type"].startswith(_OF_A_BUCKET)
    }
    for region, bucket in sorted(buckets):
        if bucket:
            yield partial(_require_bucket, environment, region, bucket)


def _tag_questions(environment: Environment, doomed: Collection[tuple[str, Resource]]) -> Iterable[_Question]:
    """Questions about tags: keys and networks have no name of ours, and the name of a topic or queue proves nothing."""
    networks: dict[tuple[str, str], list[str]] = defaultdict(list)
    for region, resource in doomed:
        identity = str(resource.get("id") or "")
        if resource["type"] == _KEY and identity:
            yield partial(_require_key, environment, region, identity)
        elif resource["type"] in (_TOPIC, _QUEUE) and identity:
            # Here the id fits the name in the settings. Others were refused before.
            yield partial(_require_tagged, environment, resource["type"], region, _called(resource))
        elif resource["type"] in _NETWORKS and identity:
            networks[resource["type"], region].append(identity)
    for (kind, region), ids in networks.items():
        yield partial(_require_networks, environment, kind, region, ids)


def _require_key(environment: Environment, region: str, key: str) -> None:
    try:
        listed = environment.clients.call(region, "kms", "list_resource_tags", KeyId=key)
    except AwsFailed as error:
        if error.code == "NotFoundException":
            return
        raise
    tags = {tag["TagKey"]: tag["TagValue"] for tag in listed.get("Tags", ())}
    _require_own_tags(environment, "key", key, region, tags)


def _require_tagged(environment: Environment, kind: str, region: str, name: str) -> None:
    look = Look(environment.clients, environment.config.account, region, {"name": name}, {})
    with told_plainly(region):
        found = NAMED[kind](look)
    if found is not None:
        _require_own_tags(environment, _KINDS[kind][0].label, name, region, found[1])


def _require_networks(environment: Environment, kind: str, region: str, ids: list[str]) -> None:
    operation, listed, name = _NETWORKS[kind]
    which = "Filter" if operation == "describe_flow_logs" else "Filters"
    # By a filter, because a request with a missing id fails as a whole.
    ask = {which: [{"Name": name, "Values": ids}]}
    for found in environment.clients.call(region, "ec2", operation, **ask)[listed]:
        identity = next(value for key, value in found.items() if key.lower() == name.replace("-", ""))
        if identity in ids:
            tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags", ())}
            _require_own_tags(environment, "network resource", identity, region, tags)


def _require_own_tags(
    environment: Environment, what: str, name: str, region: str, tags: Mapping[str, str]
) -> None:
    config = environment.config
    ours = {"Project": config.project, "Environment": config.suffix, "ManagedBy": MANAGED_BY}
    if any(tags.get(key) != value for key, value in ours.items()):
        raise _foreign(what, name, region, f"does not have this environment's tags: it {tagged(tags)}")


def _foreign(what: str, name: str, region: str, why: str) -> Refused:
    return Refused(
        f"The state names the {what} {name}, which {why}: nothing was deleted.",
        where=f"{region}: {name}" if region else name,
        remedy="if it is the environment's, `regionshift up --refresh` gives it back what it should have; if not, look"
        " who can write the state, and take it out of there: pulumi state delete",
        error_id="RS-ENVIRONMENT-005",
    )
