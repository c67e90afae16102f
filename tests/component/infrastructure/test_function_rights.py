"""The function's role, tried: a role with its very statements asks the embedded AWS, which enforces them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from regionshift.aws.clients import AccessKey, Clients
from regionshift.infrastructure.policies import function as rights
from regionshift.infrastructure.policies.statement import Statement, document
from regionshift.local.emulator import LocalCloud

REGION = "eu-central-1"
OWN, OTHER = "rights-own-bucket", "rights-other-bucket"
CONFIG, BESIDE, ELSEWHERE = "/rights/dev/deployment-config", "/rights/dev/database", "/rights/prod/database"
LOGS, OTHER_LOGS = "/rights/dev/validation", "/rights/other"
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "403"}


@dataclass(frozen=True)
class Things:
    """What the role may use, and the same kind of thing that it may not."""

    key: str
    other_key: str
    topic: str
    other_topic: str


def make_things(admin: Clients) -> Things:
    s3, ssm, logs = admin.get("s3", REGION), admin.get("ssm", REGION), admin.get("logs", REGION)
    for bucket in (OWN, OTHER):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=bucket, Key="file", Body=b"content")
    for name in (CONFIG, BESIDE, ELSEWHERE):
        ssm.put_parameter(Name=name, Value="value", Type="SecureString")
    for group in (LOGS, OTHER_LOGS):
        logs.create_log_group(logGroupName=group)
    keys = [admin.get("kms", REGION).create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
    topics = [admin.get("sns", REGION).create_topic(Name=f"rights-{n}")["TopicArn"] for n in range(2)]
    return Things(*keys, *topics)


def statements(things: Things, account: str) -> list[Statement]:
    parameter = f"arn:aws:ssm:{REGION}:{account}:parameter"
    return [
        *rights.s3_statements(f"arn:aws:s3:::{OWN}", account),
        *rights.own_key_statements(things.key, [f"s3.{REGION}.amazonaws.com"]),
        *rights.parameter_statements(parameter + CONFIG),
        *rights.log_statements([f"arn:aws:logs:{REGION}:{account}:log-group:{LOGS}"]),
        *rights.topic_statements(things.topic),
        *rights.metrics_statements(),
        *rights.tracing_statements(),
    ]


@pytest.fixture(scope="module")
def things(clients: Clients) -> Things:
    return make_things(clients)


@pytest.fixture(scope="module")
def function(cloud: LocalCloud, clients: Clients, things: Things) -> Iterator[Clients]:
    """Clients of a session of the role; the role trusts the account, so that a test can assume it."""
    iam = clients.get("iam", REGION)
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{cloud.account}:root"},
        "Action": "sts:AssumeRole",
    }
    role = iam.create_role(
        RoleName="rights-function",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    iam.put_role_policy(
        RoleName="rights-function",
        PolicyName="all",
        PolicyDocument=document(statements(things, cloud.account)),
    )
    given = clients.get("sts", REGION).assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    key = AccessKey(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    yield Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)


Ask = Callable[[Clients, Things], Any]
TAGS: Any = {"TagSet": [{"Key": "a", "Value": "b"}]}
METRIC: Any = [{"MetricName": "ActionCount", "Value": 1.0}]

MAY: dict[str, Ask] = {
    "list its bucket": lambda c, _: c.get("s3", REGION).list_objects_v2(Bucket=OWN),
    "list versions": lambda c, _: c.get("s3", REGION).list_object_versions(Bucket=OWN),
    "look for its bucket": lambda c, _: c.get("s3", REGION).head_bucket(Bucket=OWN),
    "read versioning": lambda c, _: c.get("s3", REGION).get_bucket_versioning(Bucket=OWN),
    "read an object": lambda c, _: c.get("s3", REGION).get_object(Bucket=OWN, Key="file"),
    "write an object": lambda c, _: c.get("s3", REGION).put_object(Bucket=OWN, Key="new", Body=b""),
    "take back an object": lambda c, _: c.get("s3", REGION).delete_object(Bucket=OWN, Key="new"),
    "tag an object": lambda c, _: c.get("s3", REGION).put_object_tagging(
        Bucket=OWN, Key="file", Tagging=TAGS
    ),
    "read its configuration": lambda c, _: c.get("ssm", REGION).get_parameter(
        Name=CONFIG, WithDecryption=True
    ),
    "see its key": lambda c, t: c.get("kms", REGION).describe_key(KeyId=t.key),
    "see its key turn": lambda c, t: c.get("kms", REGION).get_key_rotation_status(KeyId=t.key),
    "see its topic": lambda c, t: c.get("sns", REGION).get_topic_attributes(TopicArn=t.topic),
    "publish": lambda c, t: c.get("sns", REGION).publish(TopicArn=t.topic, Message="{}"),
    "open a stream": lambda c, _: c.get("logs", REGION).create_log_stream(
        logGroupName=LOGS, logStreamName="s"
    ),
    "count": lambda c, _: c.get("cloudwatch", REGION).put_metric_data(
        Namespace="Migration", MetricData=METRIC
    ),
}
MAY_NOT: dict[str, Ask] = {
    "list another bucket": lambda c, _: c.get("s3", REGION).list_objects_v2(Bucket=OTHER),
    "read from another bucket": lambda c, _: c.get("s3", REGION).get_object(Bucket=OTHER, Key="file"),
    "write to another bucket": lambda c, _: c.get("s3", REGION).put_object(Bucket=OTHER, Key="x", Body=b""),
    "delete in another bucket": lambda c, _: c.get("s3", REGION).delete_object(Bucket=OTHER, Key="file"),
    "delete a version of a record": lambda c, _: c.get("s3", REGION).delete_object(
        Bucket=OWN, Key="migrations/m-1/metadata.json", VersionId="null"
    ),
    "delete what the command keeps": lambda c, _: c.get("s3", REGION).delete_object(
        Bucket=OWN, Key="artifacts/dev/1.zip"
    ),
    "write what the command keeps": lambda c, _: c.get("s3", REGION).put_object(
        Bucket=OWN, Key="state/dev.json", Body=b""
    ),
    "read an application's secret": lambda c, _: c.get("ssm", REGION).get_parameter(
        Name=BESIDE, WithDecryption=True
    ),
    "change versioning": lambda c, _: c.get("s3", REGION).put_bucket_versioning(
        Bucket=OWN, VersioningConfiguration={"Status": "Suspended"}
    ),
    "change its configuration": lambda c, _: c.get("ssm", REGION).put_parameter(
        Name=CONFIG, Value="x", Type="SecureString", Overwrite=True
    ),
    "delete its configuration": lambda c, _: c.get("ssm", REGION).delete_parameter(Name=CONFIG),
    "read another environment's": lambda c, _: c.get("ssm", REGION).get_parameter(Name=ELSEWHERE),
    "see another key": lambda c, t: c.get("kms", REGION).describe_key(KeyId=t.other_key),
    "decrypt past a service": lambda c, t: c.get("kms", REGION).generate_data_key(
        KeyId=t.key, KeySpec="AES_256"
    ),
    "delete its key": lambda c, t: c.get("kms", REGION).schedule_key_deletion(KeyId=t.key),
    "publish elsewhere": lambda c, t: c.get("sns", REGION).publish(TopicArn=t.other_topic, Message="{}"),
    "make a log group": lambda c, _: c.get("logs", REGION).create_log_group(logGroupName="/rights/new"),
    "write elsewhere": lambda c, _: c.get("logs", REGION).create_log_stream(
        logGroupName=OTHER_LOGS, logStreamName="s"
    ),
    "count elsewhere": lambda c, _: c.get("cloudwatch", REGION).put_metric_data(
        Namespace="Other", MetricData=METRIC
    ),
    "act in another region": lambda c, _: c.get("ssm", "eu-west-1").get_parameter(Name=CONFIG),
}


@pytest.mark.parametrize("ask", MAY.values(), ids=list(MAY))
def test_the_function_may(function: Clients, things: Things, ask: Ask) -> None:
    ask(function, things)


@pytest.mark.parametrize("ask", MAY_NOT.values(), ids=list(MAY_NOT))
def test_the_function_may_not(function: Clients, things: Things, ask: Ask) -> None:
    with pytest.raises(ClientError) as refused:
        ask(function, things)
    assert refused.value.response["Error"]["Code"] in DENIED
