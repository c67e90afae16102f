"""The embedded AWS refuses documents that AWS finds too large; whether it still needs our help for it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.local.size_gaps import of_iam, of_variables, within
from regionshift.settings.quotas import (
    BUCKET_POLICY,
    DASHBOARD_METRICS,
    DEFINITION,
    INLINE_POLICIES,
    KEY_POLICY,
    MANAGED_POLICIES,
    MANAGED_POLICY,
    POLICIES_OF_ACCOUNT,
    QUEUE_POLICY,
    SECRET,
    TOPIC_POLICY,
    TRUST_POLICY,
    WIDGET_METRICS,
    policy_characters,
)

REGION = "eu-west-1"
_TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]},
    "Action": "sts:AssumeRole",
}


def of_size(size: int, **more: Any) -> str:
    """A policy of so many characters, white space not counted, with some white space in it."""
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::", **more}
    statement = {key: value for key, value in statement.items() if value is not None}
    empty = policy_characters(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{**statement, "Sid": "x" * (size - empty - 9)}]}, indent=1
    )


@pytest.fixture
def role(clients: Clients) -> str:
    name = f"sizes-{uuid.uuid4().hex[:8]}"
    trust = json.dumps({"Version": "2012-10-17", "Statement": [_TRUST]})
    clients.get("iam", REGION).create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    return name


def refused(call: Callable[..., Any], code: str, says: str = "", **given: Any) -> None:
    with pytest.raises(ClientError) as found:
        call(**given)
    assert found.value.response["Error"]["Code"] == code
    assert says in found.value.response["Error"]["Message"]


def test_a_document_has_the_size_that_is_asked_for() -> None:
    assert policy_characters(of_size(500)) == 500


def test_inline_policies_of_a_role_count_together(clients: Clients, role: str) -> None:
    iam = clients.get("iam", REGION)
    half = INLINE_POLICIES.most // 2
    iam.put_role_policy(RoleName=role, PolicyName="one", PolicyDocument=of_size(half))
    iam.put_role_policy(RoleName=role, PolicyName="two", PolicyDocument=of_size(half))
    says = f"Maximum policy size of {INLINE_POLICIES.most} bytes exceeded for role {role}"
    too_long = {"RoleName": role, "PolicyDocument": of_size(half + 1)}
    refused(iam.put_role_policy, "LimitExceeded", says, PolicyName="two", **too_long)
    refused(iam.put_role_policy, "LimitExceeded", says, PolicyName="three", **too_long)
    refused(iam.put_role_policy, "NoSuchEntity", PolicyName="one", **{**too_long, "RoleName": "nobody"})
    pages = iam.get_paginator("list_role_policies").paginate(RoleName=role)
    assert list(pages.search("PolicyNames[]")) == ["one", "two"]


def test_a_role_takes_ten_managed_policies_of_a_bounded_length(clients: Clients, role: str) -> None:
    iam = clients.get("iam", REGION)
    says = f"Cannot exceed quota for PolicySize: {MANAGED_POLICY.most}"
    refused(iam.create_policy, "LimitExceeded", says, PolicyName=f"{role}-x", PolicyDocument=of_size(6_145))
    made = [
        iam.create_policy(PolicyName=f"{role}-{n}", PolicyDocument=of_size(6_144))["Policy"]["Arn"]
        for n in range(MANAGED_POLICIES.most + 1)
    ]
    refused(
        iam.create_policy_version, "LimitExceeded", says, PolicyArn=made[0], PolicyDocument=of_size(6_145)
    )
    for arn in made[:-1]:
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    iam.attach_role_policy(RoleName=role, PolicyArn=made[0])  # once more is no more
    says = f"Cannot exceed quota for PoliciesPerRole: {MANAGED_POLICIES.most}"
    refused(iam.attach_role_policy, "LimitExceeded", says, RoleName=role, PolicyArn=made[-1])


def test_a_trust_policy_is_bounded(clients: Clients, role: str) -> None:
    iam = clients.get("iam", REGION)
    fits, too_long = (of_size(TRUST_POLICY.most + more, **{**_TRUST, "Resource": None}) for more in (0, 1))
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=fits)
    says = f"Cannot exceed quota for ACLSizePerRole: {TRUST_POLICY.most}"
    refused(iam.update_assume_role_policy, "LimitExceeded", says, RoleName=role, PolicyDocument=too_long)
    refused(iam.create_role, "LimitExceeded", says, RoleName=f"{role}-2", AssumeRolePolicyDocument=too_long)


def test_keys_queues_secrets_and_state_machines_bound_their_documents(clients: Clients, role: str) -> None:
    def too_long(size: int) -> str:
        return json.dumps({"Version": "2012-10-17", "Statement": []}).ljust(size + 1)

    kms, sqs = clients.get("kms", REGION), clients.get("sqs", REGION)
    refused(kms.create_key, "LimitExceededException", Policy=too_long(KEY_POLICY.most))
    queue = sqs.create_queue(QueueName=role)["QueueUrl"]
    policy = {"Policy": too_long(QUEUE_POLICY.most)}
    refused(sqs.set_queue_attributes, "OverLimit", "over max", QueueUrl=queue, Attributes=policy)

    vault, machines = clients.get("secretsmanager", REGION), clients.get("stepfunctions", REGION)
    vault.create_secret(Name=role, SecretString="x" * SECRET.most)
    refused(
        vault.put_secret_value,
        "ValidationException",
        "65536",
        SecretId=role,
        SecretString="x" * (SECRET.most + 1),
    )
    arn = f"arn:aws:iam::{clients.get('sts', REGION).get_caller_identity()['Account']}:role/{role}"
    tags: Any = [{"Key": f"k{n}", "Value": "v"} for n in range(51)]
    refused(vault.create_secret, "LimitExceededException", "50 tags", Name=f"{role}-2", Tags=tags)
    definition = json.dumps({"StartAt": "a", "States": {"a": {"Type": "Succeed"}}}).ljust(DEFINITION.most + 1)
    refused(
        machines.create_state_machine,
        "ValidationException",
        "definition",
        name=role,
        definition=definition,
        roleArn=arn,
    )


def test_a_buckets_policy_is_bounded_without_its_white_space(clients: Clients, role: str) -> None:
    s3 = clients.get("s3", REGION)
    s3.create_bucket(Bucket=role, CreateBucketConfiguration={"LocationConstraint": REGION})
    about: dict[str, Any] = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject"}
    about["Resource"] = f"arn:aws:s3:::{role}/x"

    def of_length(size: int) -> str:
        document = {"Version": "2012-10-17", "Statement": [{**about, "Sid": ""}]}
        document["Statement"] = [
            {**about, "Sid": "x" * (size - len(json.dumps(document, separators=(",", ":"))))}
        ]
        return json.dumps(document, indent=4)

    s3.put_bucket_policy(Bucket=role, Policy=of_length(BUCKET_POLICY.most))
    refused(
        s3.put_bucket_policy,
        "MalformedPolicy",
        "20480 bytes",
        Bucket=role,
        Policy=of_length(BUCKET_POLICY.most + 1),
    )


def test_a_topics_policy_is_bounded_whenever_it_is_given(clients: Clients, role: str) -> None:
    sns = clients.get("sns", REGION)
    empty = json.dumps({"Version": "2012-10-17", "Statement": []})
    fits, too_long = (empty.ljust(TOPIC_POLICY.most + more) for more in (0, 1))
    topic = sns.create_topic(Name=role, Attributes={"Policy": fits})["TopicArn"]
    given: Any = {"TopicArn": topic, "AttributeName": "Policy", "AttributeValue": too_long}
    refused(sns.set_topic_attributes, "InvalidParameter", "30720", **given)
    refused(sns.create_topic, "InvalidParameter", "30720", Name=f"{role}-2", Attributes={"Policy": too_long})


@pytest.mark.parametrize(
    ("counts", "is_refused"),
    [
        ([WIDGET_METRICS.most] * (DASHBOARD_METRICS.most // WIDGET_METRICS.most), False),
        ([WIDGET_METRICS.most + 1], True),
        ([WIDGET_METRICS.most] * (DASHBOARD_METRICS.most // WIDGET_METRICS.most) + [1], True),
    ],
)
def test_the_metrics_of_a_dashboard_are_bounded(
    clients: Clients, role: str, counts: list[int], is_refused: bool
) -> None:
    cloudwatch = clients.get("cloudwatch", REGION)
    properties = [{"region": REGION, "metrics": [["A", str(n)] for n in range(count)]} for count in counts]
    widgets = [{"type": "metric", "properties": each} for each in properties]
    given: Any = {"DashboardName": role, "DashboardBody": json.dumps({"widgets": widgets})}
    if is_refused:
        refused(cloudwatch.put_dashboard, "InvalidParameterInput", "metrics", **given)
    else:
        cloudwatch.put_dashboard(**given)


def test_an_account_takes_so_many_managed_policies() -> None:
    given = {"PolicyDocument": "{}"}
    assert of_iam({}, range(POLICIES_OF_ACCOUNT.most - 1))["CreatePolicy"](given) is None
    found = of_iam({}, range(POLICIES_OF_ACCOUNT.most))["CreatePolicy"](given)
    assert found is not None
    assert found[0] == "LimitExceeded"


def test_a_functions_variables_are_bounded(clients: Clients, role: str) -> None:
    made: dict[str, Any] = {
        "FunctionName": role,
        "Role": f"arn:aws:iam::123456789012:role/{role}",
        "Runtime": "python3.13",
        "Handler": "a.b",
        "Code": {"ZipFile": b"x"},
        "Environment": {"Variables": {"A": "x" * 4096}},
    }
    refused(clients.get("lambda", REGION).create_function, "InvalidParameterValueException", "4KB", **made)


def test_variables_are_measured_as_json() -> None:
    empty = len(json.dumps({"A": ""}, separators=(",", ":")))
    assert of_variables({"Environment": {"Variables": {"A": "x" * (4096 - empty)}}}) is None
    found = of_variables({"Environment": {"Variables": {"A": "x" * (4097 - empty)}}})
    assert found is not None
    assert (found[0], "4KB" in found[1]) == ("InvalidParameterValueException", True)
    assert of_variables({}) is None


def test_the_emulator_still_needs_it(role: str) -> None:
    """Else `local/size_gaps.py` can go: the emulator as it is, without our help, takes documents of any size."""
    iam = pytest.importorskip("ministack.services.iam")
    given = {"PolicyName": ["long"], "PolicyDocument": [of_size(MANAGED_POLICY.most + 1)]}
    assert iam._create_policy(given)[0] == 200
    s3 = pytest.importorskip("ministack.services.s3")
    s3._create_bucket(role, b"", {})
    assert s3._put_bucket_policy(role, b" " * (BUCKET_POLICY.most + 1))[0] == 204
    helped = within(iam._create_policy, of_iam({})["CreatePolicy"], lambda code, _: code)
    assert helped({**given, "PolicyName": ["longer"]}) == "LimitExceeded"
