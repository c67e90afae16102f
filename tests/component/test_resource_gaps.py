"""The embedded AWS asks about every resource of a request, and for every right; whether it still needs our help."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from string import Template
from typing import Any

import pytest
from botocore.exceptions import ClientError
from policy_sentry.querying.actions import get_action_data

from regionshift.aws.clients import Clients
from regionshift.local.resource_gaps import ABOUT, MADE_BY_EC2, TAGGED_BY, of_lambda, resources_of

REGION, ACCOUNT = "eu-west-1", "123456789012"
TAGS = [{"Key": "Project", "Value": "x"}]
DOCUMENT = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sns:ListTopics", "Resource": "*"}]}
)
KEY_POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }
)
NOTHING = {"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


def spec(kind: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": TAGS}]


def ec2(place: str) -> str:
    return f"arn:aws:ec2:{REGION}:{ACCOUNT}:{place}"


def iam(place: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:{place}"


def of(service: str, place: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{place}"


@pytest.fixture(scope="module")
def there(clients: Clients) -> dict[str, str]:
    """What requests name, by words that stand for it below."""
    network, kms = clients.get("ec2", REGION), clients.get("kms", REGION)
    vpc = network.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    table = network.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    subnet = network.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    group = network.create_security_group(GroupName="g", Description="g", VpcId=vpc)["GroupId"]
    rules = network.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    alias = f"alias/{uuid.uuid4().hex[:8]}"
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    return {
        "vpc": vpc,
        "table": table,
        "subnet": subnet,
        "group": group,
        "rule": rules["SecurityGroupRules"][0]["SecurityGroupRuleId"],
        "key": key,
        "alias": alias,
        "name": f"n{uuid.uuid4().hex[:8]}",
    }


Case = tuple[str, str, dict[str, Any], dict[str, str]]
CASES: dict[str, Case] = {
    "a part of a network is made in another": (
        "ec2",
        "create_subnet",
        {"VpcId": "$vpc", "CidrBlock": "10.0.9.0/24", "TagSpecifications": spec("subnet"), "DryRun": False},
        {
            ec2("subnet/*"): "ec2:CreateSubnet ec2:CreateTags",
            ec2("vpc/$vpc"): "ec2:CreateSubnet",
        },
    ),
    "all that an endpoint joins": (
        "ec2",
        "create_vpc_endpoint",
        {"VpcId": "$vpc", "ServiceName": f"com.amazonaws.{REGION}.s3", "RouteTableIds": ["$table"]},
        {
            ec2("vpc-endpoint/*"): "ec2:CreateVpcEndpoint",
            ec2("vpc/$vpc"): "ec2:CreateVpcEndpoint",
            ec2("route-table/$table"): "ec2:CreateVpcEndpoint",
        },
    ),
    "both ends of an association": (
        "ec2",
        "associate_route_table",
        {"RouteTableId": "$table", "SubnetId": "$subnet"},
        {
            ec2("route-table/$table"): "ec2:AssociateRouteTable",
            ec2("subnet/$subnet"): "ec2:AssociateRouteTable",
        },
    ),
    "each thing that is tagged": (
        "ec2",
        "create_tags",
        {"Resources": ["$vpc", "$group"], "Tags": TAGS},
        {ec2("vpc/$vpc"): "ec2:CreateTags", ec2("security-group/$group"): "ec2:CreateTags"},
    ),
    "the group of a rule that goes": (
        "ec2",
        "revoke_security_group_egress",
        {"GroupId": "$group", "SecurityGroupRuleIds": ["$rule"]},
        {ec2("security-group/$group"): "ec2:RevokeSecurityGroupEgress"},
    ),
    "a key, its policy and its tags": (
        "kms",
        "create_key",
        {"Policy": KEY_POLICY, "Tags": [{"TagKey": "a", "TagValue": "b"}]},
        {"*": "kms:CreateKey kms:TagResource", of("kms", "key/*"): "kms:PutKeyPolicy"},
    ),
    "an alias and its key": (
        "kms",
        "update_alias",
        {"AliasName": "$alias", "TargetKeyId": "$key"},
        {of("kms", "$alias"): "kms:UpdateAlias", of("kms", "key/$key"): "kms:UpdateAlias"},
    ),
    "the key that an alias stands for": (
        "kms",
        "describe_key",
        {"KeyId": "$alias"},
        {of("kms", "key/$key"): "kms:DescribeKey"},
    ),
    "an alarm and its tags": (
        "cloudwatch",
        "put_metric_alarm",
        {
            "AlarmName": "$name",
            "MetricName": "m",
            "Namespace": "n",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Tags": TAGS,
        },
        {of("cloudwatch", "alarm:$name"): "cloudwatch:PutMetricAlarm cloudwatch:TagResource"},
    ),
    "alarms that are taken away": (
        "cloudwatch",
        "delete_alarms",
        {"AlarmNames": ["$name", "$name-2"]},
        {
            of("cloudwatch", "alarm:$name"): "cloudwatch:DeleteAlarms",
            of("cloudwatch", "alarm:$name-2"): "cloudwatch:DeleteAlarms",
        },
    ),
    "a dashboard": (
        "cloudwatch",
        "put_dashboard",
        {"DashboardName": "$name", "DashboardBody": "{}"},
        {f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/$name": "cloudwatch:PutDashboard"},
    ),
    "a log group and its tags": (
        "logs",
        "create_log_group",
        {"logGroupName": "/$name", "tags": {"a": "b"}},
        {
            of("logs", "log-group:/$name:*"): "logs:CreateLogGroup",
            of("logs", "log-group:/$name"): "logs:TagResource",
        },
    ),
    "an operation of Lambda that is nobody's neighbour": (
        "lambda",
        "get_account_settings",
        {},
        {"*": "lambda:GetAccountSettings"},
    ),
    "every parameter that is read": (
        "ssm",
        "get_parameters",
        {"Names": ["/$name/a", "/$name/b"]},
        {
            of("ssm", "parameter/$name/a"): "ssm:GetParameters",
            of("ssm", "parameter/$name/b"): "ssm:GetParameters",
        },
    ),
    "a role with a path, and its tags": (
        "iam",
        "create_role",
        {"RoleName": "$name", "Path": "/a/b/", "AssumeRolePolicyDocument": TRUST, "Tags": TAGS},
        {iam("role/a/b/$name"): "iam:CreateRole iam:TagRole"},
    ),
    "a policy and its tags": (
        "iam",
        "create_policy",
        {"PolicyName": "$name", "PolicyDocument": DOCUMENT, "Tags": TAGS},
        {iam("policy/$name"): "iam:CreatePolicy iam:TagPolicy"},
    ),
    "a bucket and its tags": (
        "s3",
        "create_bucket",
        {
            "Bucket": "bucket-$name",
            "CreateBucketConfiguration": {"LocationConstraint": REGION, "Tags": TAGS},
        },
        {"arn:aws:s3:::bucket-$name": "s3:CreateBucket s3:TagResource"},
    ),
}


def filled(value: Any, there: dict[str, str]) -> Any:
    return json.loads(Template(json.dumps(value)).substitute(there))


@pytest.mark.parametrize("case", CASES)
def test_each_is_asked_about_and_nothing_else(
    case: str, there: dict[str, str], user: Callable[..., Clients]
) -> None:
    service, operation, given, asked = CASES[case]
    given = filled(given, there)
    rights = [
        {"Effect": "Allow", "Action": action, "Resource": filled(resource, there)}
        for resource, actions in asked.items()
        for action in actions.split()
    ]
    for left_out in rights:
        client = user(NOTHING, *(each for each in rights if each != left_out)).named(service, REGION)
        with pytest.raises(ClientError, match=r"AccessDenied|UnauthorizedOperation|AuthorizationError"):
            getattr(client, operation)(**given)
    getattr(user(*rights).named(service, REGION), operation)(**given)


def test_tags_are_those_of_what_is_made_and_of_what_stands(
    clients: Clients, user: Callable[..., Clients]
) -> None:
    """EC2 tells the tags of a request about what it makes alone, those that stand about the rest."""
    as_ours = {"StringEquals": {"aws:RequestTag/Project": "x"}}
    ours = {"StringEquals": {"aws:ResourceTag/Project": "x"}}
    made = {"Effect": "Allow", "Action": "ec2:Create*", "Resource": "*"}
    vpc = clients.get("ec2", REGION).create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    request: Any = {"VpcId": vpc, "CidrBlock": "10.0.10.0/24", "TagSpecifications": spec("subnet")}
    by_request = user({**made, "Condition": as_ours}).get("ec2", REGION)
    both = user({**made, "Condition": as_ours}, {**made, "Condition": ours}).get("ec2", REGION)
    for client in (by_request, both):
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            client.create_subnet(**request)
    clients.get("ec2", REGION).create_tags(Resources=[vpc], Tags=TAGS)  # type: ignore[arg-type]
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        by_request.create_subnet(**request)
    both.create_subnet(**request)


def test_a_role_is_made_and_changed_under_its_boundary(
    clients: Clients, user: Callable[..., Clients]
) -> None:
    name = f"n{uuid.uuid4().hex[:8]}"
    boundary = clients.get("iam", REGION).create_policy(PolicyName=name, PolicyDocument=DOCUMENT)["Policy"][
        "Arn"
    ]
    where = {"StringEquals": {"iam:PermissionsBoundary": boundary, "aws:RequestedRegion": "us-east-1"}}
    theirs = user({"Effect": "Allow", "Action": "iam:*", "Resource": "*", "Condition": where}).get(
        "iam", REGION
    )
    with pytest.raises(ClientError, match="AccessDenied"):
        theirs.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    theirs.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST, PermissionsBoundary=boundary)
    theirs.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=DOCUMENT)
    clients.get("iam", REGION).create_role(RoleName=f"{name}-2", AssumeRolePolicyDocument=TRUST)
    with pytest.raises(ClientError, match="AccessDenied"):
        theirs.put_role_policy(RoleName=f"{name}-2", PolicyName="p", PolicyDocument=DOCUMENT)
    theirs.update_assume_role_policy(RoleName=name, PolicyDocument=TRUST)
    with pytest.raises(ClientError, match="AccessDenied"):
        theirs.update_assume_role_policy(RoleName=f"{name}-2", PolicyDocument=TRUST)


def test_a_condition_key_in_a_resource_stands_for_its_value(user: Callable[..., Clients]) -> None:
    allowed = {"Effect": "Allow", "Action": "sns:CreateTopic"}
    by_region = user({**allowed, "Resource": "arn:aws:sns:*:*:in-${aws:RequestedRegion}"})
    by_region.get("sns", "eu-west-1").create_topic(Name="in-eu-west-1")
    by_region.get("sns", "us-east-1").create_topic(Name="in-us-east-1")
    with pytest.raises(ClientError, match="AuthorizationError"):
        by_region.get("sns", "us-east-1").create_topic(Name="in-eu-west-1")
    unknown = user({**allowed, "Resource": "arn:aws:sns:*:*:in-${aws:PrincipalTag/Project}"})
    with pytest.raises(ClientError, match="AuthorizationError"):
        unknown.get("sns", "us-east-1").create_topic(Name="in-us-east-1")


def reference(action: str) -> list[dict[str, Any]]:
    service, _, name = action.partition(":")
    found: list[dict[str, Any]] = get_action_data(service, name)[service]
    return found


@pytest.mark.parametrize("action", [*ABOUT, *(f"ec2:{each}" for each in MADE_BY_EC2)])
def test_the_table_is_the_references(action: str) -> None:
    """Each template is of the form of a resource type that the service authorization reference has for the action."""
    forms = [row["resource_arn_format"] for row in reference(action)]
    service, _, operation = action.partition(":")
    if service == "ec2":
        assert any(f":{MADE_BY_EC2[operation]}/" in form for form in forms)
        return
    for template in ABOUT[action]:
        if not template.startswith("{"):  # else the request brings the ARN
            kind = template.rpartition("{")[0] or template.rpartition("*")[0]
            assert any(kind.rpartition(":")[2].strip("/") in form for form in forms), (template, forms)


@pytest.mark.parametrize("action", TAGGED_BY)
def test_what_tags_is_an_action_that_tags(action: str) -> None:
    assert {row["access_level"] for row in reference(TAGGED_BY[action])} == {"Tagging"}
    assert "aws:TagKeys" in {key for row in reference(action) for key in row["condition_keys"]}


def test_the_emulator_still_needs_it() -> None:
    """On the emulator as its authors ship it; when this fails, that part of `local/resource_gaps.py` can go."""
    actions = pytest.importorskip("ministack.core.iam_actions")
    given = {"Action": ["CreateSubnet"], "VpcId": ["vpc-1"]}
    asked = actions.extract_resource_arn("ec2", "POST", "/", {}, b"", given, REGION, ACCOUNT)
    assert asked == ec2("vpc/vpc-1")
    assert resources_of("ec2:CreateSubnet", {"VpcId": ["vpc-1"]}, REGION, ACCOUNT) == [
        ec2("subnet/*"),
        ec2("vpc/vpc-1"),
    ]
    for service, given in (
        ("monitoring", {"Action": ["DeleteAlarms"], "AlarmNames.member.1": ["a"]}),
        ("iam", {"Action": ["CreatePolicy"], "PolicyName": ["a"]}),
    ):
        assert actions.extract_resource_arn(service, "POST", "/", {}, b"", given, REGION, ACCOUNT) == "*"
    assert actions._lambda_action("GET", "/2019-09-30/functions/f/concurrency") == "PutFunctionConcurrency"
    action = of_lambda(actions._load_botocore_routes("lambda"))
    assert action("GET", "/2019-09-30/functions/f/concurrency") == "GetFunctionConcurrency"
    assert action("POST", "/2015-03-31/functions/f/invocations") == "InvokeFunction"
