"""Find a resource in AWS by its type and inputs, without its id. Each type has a finder.

Finders are used to adopt resources of a killed run, to find names that are in use, and to prove that nothing is left.
All resources that can have tags have ``Project``, ``Environment`` and ``Name`` (the name in the URN); offline also a
tag of the local provider. All names are deterministic. The ids are those for imports by the ordinary plugin (Pulumi
Registry, AWS Classic, "Import" on the page of each type).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.aws.errors import DENIED, code_of, is_gone
from regionshift.settings.regions import partition_of

_OVER = ("deleting", "deleted")
KEY_WAITS = ("PendingDeletion", "PendingReplicaDeletion")
"""States of a key that is scheduled for deletion (KMS Developer Guide, "Key states of AWS KMS keys")."""

MADE_AGAIN = frozenset(
    {
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketLogging:BucketLogging",
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketVersioning:BucketVersioning",
        "aws:secretsmanager/secretVersion:SecretVersion",
        "aws:sns/topicPolicy:TopicPolicy",
        "aws:sqs/queuePolicy:QueuePolicy",
    }
)
"""Types whose creation is a write into another resource: a second creation gives the same resource with the same id,
and it is deleted with the other resource.

A secret's version differs: the earlier one stays as the previous version, with the same value.
"""

_BY_ARN: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("cloudwatch", "alarm:"): "aws:cloudwatch/metricAlarm:MetricAlarm",
        ("cloudwatch", "dashboard/"): "aws:cloudwatch/dashboard:Dashboard",
        ("ec2", "route-table/"): "aws:ec2/routeTable:RouteTable",
        ("ec2", "security-group/"): "aws:ec2/securityGroup:SecurityGroup",
        ("ec2", "security-group-rule/"): "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        ("ec2", "subnet/"): "aws:ec2/subnet:Subnet",
        ("ec2", "vpc/"): "aws:ec2/vpc:Vpc",
        ("ec2", "vpc-endpoint/"): "aws:ec2/vpcEndpoint:VpcEndpoint",
        ("ec2", "vpc-flow-log/"): "aws:ec2/flowLog:FlowLog",
        ("iam", "policy/"): "aws:iam/policy:Policy",
        ("iam", "role/"): "aws:iam/role:Role",
        ("lambda", "function:"): "aws:lambda/function:Function",
        ("logs", "log-group:"): "aws:cloudwatch/logGroup:LogGroup",
        ("s3", ""): "aws:s3/bucket:Bucket",
        ("sns", ""): "aws:sns/topic:Topic",
        ("sqs", ""): "aws:sqs/queue:Queue",
        ("ssm", "parameter"): "aws:ssm/parameter:Parameter",
        ("states", "stateMachine:"): "aws:sfn/stateMachine:StateMachine",
    }
)
"""(service, prefix of the name or id in the ARN's resource part) to type (Service Authorization Reference, "Resource
types defined by …")."""


@dataclass(frozen=True)
class Look:
    """A search for a resource: its region and inputs, and the tags that make it ours."""

    clients: Clients
    account: str
    region: str
    inputs: Mapping[str, Any]
    owner: Mapping[str, str]

    def client(self, service: str) -> Any:
        """Return the client of ``service`` in the region."""
        return self.clients.named(service, self.region)

    def text(self, name: str) -> str:
        """Return an input as text."""
        return str(self.inputs.get(name) or "")

    def arn(self, service: str, resource: str) -> str:
        """Return an ARN of this account in the region."""
        return f"arn:{partition_of(self.region)}:{service}:{self.region}:{self.account}:{resource}"

    def is_ours(self, tags: Iterable[Mapping[str, str]] | Mapping[str, str]) -> bool:
        """Whether these tags, in any of AWS's formats, make a resource ours."""
        return self.owner.items() <= _plain(tags).items()


Find = Callable[[Look], Iterator[str]]
Found = tuple[str, Mapping[str, str]]
"""The id of a resource, and its tags."""
FindNamed = Callable[[Look], Found | None]


def _plain(tags: Iterable[Mapping[str, str]] | Mapping[str, str]) -> dict[str, str]:
    if isinstance(tags, Mapping):
        return dict(tags)
    pairs = ([v for _, v in sorted(tag.items(), key=lambda kv: "value" in kv[0].lower())] for tag in tags)
    return {pair[0]: pair[1] for pair in pairs}


def unless_gone(call: Callable[..., Any], **arguments: Any) -> Any | None:
    """Return the answer of a call; None when the resource does not exist."""
    try:
        return call(**arguments)
    except ClientError as error:
        if is_gone(error):
            return None
        raise


def _in_ec2(call: str, answer: str, identity: str, *, filters: str = "Filters") -> Find:
    def find(look: Look) -> Iterator[str]:
        named = [{"Name": f"tag:{name}", "Values": [value]} for name, value in look.owner.items()]
        for page in look.client("ec2").get_paginator(call).paginate(**{filters: named}):
            for found in page[answer]:
                if look.is_ours(found.get("Tags", [])) and str(found.get("State")).lower() not in _OVER:
                    yield str(found[identity])

    return find


def _association(look: Look) -> Iterator[str]:
    """Yield "SUBNET/TABLE". An association has no tags, but both of its ends are ours."""
    subnet, table = look.text("subnetId"), look.text("routeTableId")
    filters = [{"Name": "association.subnet-id", "Values": [subnet]}]
    for found in look.client("ec2").describe_route_tables(Filters=filters)["RouteTables"]:
        if found["RouteTableId"] == table and any(
            one.get("SubnetId") == subnet for one in found["Associations"]
        ):
            yield f"{subnet}/{table}"


def _bucket(look: Look) -> Found | None:
    """Return the bucket. One of another account has no tags here."""
    s3, name = look.client("s3"), look.text("bucket")
    try:
        s3.head_bucket(Bucket=name)
        return name, _plain(s3.get_bucket_tagging(Bucket=name)["TagSet"])
    except ClientError as error:
        # S3 API Reference, HeadBucket: 404 where there is none, 403 where it is another account's.
        if code_of(error) in ("404", "NoSuchBucket"):
            return None
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
            raise
        return name, {}


def _key(look: Look) -> Iterator[str]:
    kms = look.client("kms")
    for page in kms.get_paginator("list_keys").paginate():
        for key in page["Keys"]:
            if _is_ours(look, kms, key["KeyId"]):
                yield str(key["KeyId"])


def _is_ours(look: Look, kms: Any, key: str) -> bool:
    try:
        tags = kms.list_resource_tags(KeyId=key)["Tags"]
        return look.is_ours(tags) and kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] not in KEY_WAITS
    except ClientError as error:
        if code_of(error) in DENIED:
            return False  # not ours: our keys allow the account
        raise


def _alias(look: Look) -> Iterator[str]:
    """Yield the alias. It has no tags, but its key is ours."""
    wanted = look.text("name"), look.text("targetKeyId")
    for page in look.client("kms").get_paginator("list_aliases").paginate():
        for one in page["Aliases"]:
            if (one["AliasName"], one.get("TargetKeyId")) == wanted:
                yield str(one["AliasName"])


def _role(look: Look) -> Found | None:
    answer = unless_gone(look.client("iam").get_role, RoleName=look.text("name"))
    return (look.text("name"), _plain(answer["Role"].get("Tags", []))) if answer else None


def _function(look: Look) -> Found | None:
    answer = unless_gone(look.client("lambda").get_function, FunctionName=look.text("name"))
    return (look.text("name"), _plain(answer.get("Tags", {}))) if answer else None


def _log_group(look: Look) -> Found | None:
    logs, name = look.client("logs"), look.text("name")
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name):
        for group in page["logGroups"]:
            if group["logGroupName"] == name:
                arn = group["arn"].removesuffix(":*")
                return name, logs.list_tags_for_resource(resourceArn=arn).get("tags", {})
    return None


def _alarm(look: Look) -> Found | None:
    cloudwatch = look.client("cloudwatch")
    for alarm in cloudwatch.describe_alarms(AlarmNames=[look.text("name")])["MetricAlarms"]:
        tags = cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
        return str(alarm["AlarmName"]), _plain(tags)
    return None


def _dashboard(look: Look) -> Iterator[str]:
    if unless_gone(look.client("cloudwatch").get_dashboard, DashboardName=look.text("dashboardName")):
        yield look.text("dashboardName")


def _role_policy(look: Look) -> Iterator[str]:
    role, name = look.text("role"), look.text("name")
    if unless_gone(look.client("iam").get_role_policy, RoleName=role, PolicyName=name):
        yield f"{role}:{name}"


def attached_policies(iam: Any, role: str) -> list[str]:
    """Return the ARNs of the managed policies of a role."""
    pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=role)
    return [policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]]


def _attachment(look: Look) -> Iterator[str]:
    role, policy = look.text("role"), look.text("policyArn")
    if policy in (unless_gone(attached_policies, iam=look.client("iam"), role=role) or ()):
        yield f"{role}/{policy}"


def _policy(look: Look) -> Found | None:
    """Return the policy by its ARN. The program's policies have no path."""
    arn = f"arn:{partition_of(look.region)}:iam::{look.account}:policy/{look.text('name')}"
    answer = unless_gone(look.client("iam").get_policy, PolicyArn=arn)
    return (arn, _plain(answer["Policy"].get("Tags", []))) if answer else None


def _issuer(look: Look) -> Found | None:
    """Return the OIDC provider by its ARN, which ends in the URL without the scheme."""
    host = look.text("url").removeprefix("https://")
    arn = f"arn:{partition_of(look.region)}:iam::{look.account}:oidc-provider/{host}"
    answer = unless_gone(look.client("iam").get_open_id_connect_provider, OpenIDConnectProviderArn=arn)
    return (arn, _plain(answer.get("Tags", []))) if answer else None


def _replication(look: Look) -> Iterator[str]:
    if unless_gone(look.client("s3").get_bucket_replication, Bucket=look.text("bucket")):
        yield look.text("bucket")


def _subscription(look: Look) -> Iterator[str]:
    """Yield the subscription. It has no ARN before the address confirms; SNS deletes it when that never happens."""
    wanted = look.text("protocol"), look.text("endpoint")
    pages = (
        look.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=look.text("topic"))
    )
    for page in pages:
        for one in page["Subscriptions"]:
            if (one["Protocol"], one["Endpoint"]) == wanted and one["SubscriptionArn"].startswith("arn:"):
                yield str(one["SubscriptionArn"])


def _topic(look: Look) -> Found | None:
    """Return the topic by its ARN: SNS has no search by name."""
    arn = look.arn("sns", look.text("name"))
    answer = unless_gone(look.client("sns").list_tags_for_resource, ResourceArn=arn)
    return (arn, _plain(answer["Tags"])) if answer else None


def _queue(look: Look) -> Found | None:
    sqs = look.client("sqs")
    answer = unless_gone(sqs.get_queue_url, QueueName=look.text("name"))
    if answer is None:
        return None
    tags = unless_gone(sqs.list_queue_tags, QueueUrl=answer["QueueUrl"])
    return None if tags is None else (str(answer["QueueUrl"]), tags.get("Tags", {}))


def _parameter(look: Look) -> Found | None:
    ssm, name = look.client("ssm"), look.text("name")
    named = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
    pages = ssm.get_paginator("describe_parameters").paginate(ParameterFilters=named)
    if not any(page["Parameters"] for page in pages):  # an empty page need not be the last
        return None
    answer = unless_gone(ssm.list_tags_for_resource, ResourceType="Parameter", ResourceId=name)
    return (name, _plain(answer["TagList"])) if answer else None


def _secret(look: Look) -> Found | None:
    """Return the secret; None also for one that is scheduled for deletion."""
    answer = unless_gone(look.client("secretsmanager").describe_secret, SecretId=look.text("name"))
    if answer is None or "DeletedDate" in answer:
        return None
    return str(answer["ARN"]), _plain(answer.get("Tags", []))


def _state_machine(look: Look) -> Found | None:
    arn = look.arn("states", f"stateMachine:{look.text('name')}")
    states = look.client("stepfunctions")
    found = unless_gone(states.describe_state_machine, stateMachineArn=arn)
    if found is None or found["status"] == "DELETING":
        return None
    return arn, _plain(states.list_tags_for_resource(resourceArn=arn)["tags"])


def _ours(find: FindNamed) -> Find:
    def ours(look: Look) -> Iterator[str]:
        found = find(look)
        if found and look.is_ours(found[1]):
            yield found[0]

    return ours


NAMED: Mapping[str, FindNamed] = MappingProxyType(
    {
        "aws:cloudwatch/logGroup:LogGroup": _log_group,
        "aws:cloudwatch/metricAlarm:MetricAlarm": _alarm,
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider": _issuer,
        "aws:iam/policy:Policy": _policy,
        "aws:iam/role:Role": _role,
        "aws:lambda/function:Function": _function,
        "aws:s3/bucket:Bucket": _bucket,
        "aws:secretsmanager/secret:Secret": _secret,
        "aws:sfn/stateMachine:StateMachine": _state_machine,
        "aws:sns/topic:Topic": _topic,
        "aws:sqs/queue:Queue": _queue,
        "aws:ssm/parameter:Parameter": _parameter,
    }
)
"""Finders of types with names and tags. They also find resources of other owners."""
_RULES = _in_ec2("describe_security_group_rules", "SecurityGroupRules", "SecurityGroupRuleId")
FINDS: Mapping[str, Find] = MappingProxyType(
    {
        "aws:cloudwatch/dashboard:Dashboard": _dashboard,
        "aws:ec2/flowLog:FlowLog": _in_ec2("describe_flow_logs", "FlowLogs", "FlowLogId", filters="Filter"),
        "aws:ec2/routeTable:RouteTable": _in_ec2("describe_route_tables", "RouteTables", "RouteTableId"),
        "aws:ec2/routeTableAssociation:RouteTableAssociation": _association,
        "aws:ec2/securityGroup:SecurityGroup": _in_ec2(
            "describe_security_groups", "SecurityGroups", "GroupId"
        ),
        "aws:ec2/subnet:Subnet": _in_ec2("describe_subnets", "Subnets", "SubnetId"),
        "aws:ec2/vpc:Vpc": _in_ec2("describe_vpcs", "Vpcs", "VpcId"),
        "aws:ec2/vpcEndpoint:VpcEndpoint": _in_ec2("describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
        "aws:iam/rolePolicy:RolePolicy": _role_policy,
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _attachment,
        "aws:kms/alias:Alias": _alias,
        "aws:kms/key:Key": _key,
        "aws:s3/bucketReplicationConfig:BucketReplicationConfig": _replication,
        "aws:sns/topicSubscription:TopicSubscription": _subscription,
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _RULES,
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _RULES,
        **{kind: _ours(find) for kind, find in NAMED.items()},
    }
)
"""Finders of our own resources. A type that is in neither table is left to the user."""


def still_exists(look: Look, arn: str) -> bool:
    """Whether a resource from the tagging API still exists and is ours. Unknown types count as existing.

    The tagging API also lists deleted resources (Resource Groups Tagging API Reference, "GetResources").

    Args:
        look: its region and owner; without inputs.
    """
    service, of = arn.split(":")[2], arn.split(":", 5)[5].removesuffix(":*")
    known = (key for key in _BY_ARN if key[0] == service and of.startswith(key[1]))
    if (key := next(known, None)) is None:
        return True
    kind, name = _BY_ARN[key], of.removeprefix(key[1])
    if service == "ec2":
        return name in FINDS[kind](look)
    inputs = dict.fromkeys(("name", "bucket", "dashboardName"), name)
    return any(FINDS[kind](replace(look, inputs=inputs)))


def arn_of(look: Look, kind: str, name: str) -> str:
    """Return the ARN of the resource ``name`` of a type with names."""
    service, head = next(key for key, each in _BY_ARN.items() if each == kind)
    # A bucket's ARN has neither region nor account (S3 User Guide, "Amazon S3 resources").
    plain = f"arn:{partition_of(look.region)}:s3:::{name}"
    return plain if service == "s3" else look.arn(service, head + name)
