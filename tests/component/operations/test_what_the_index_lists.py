"""The tagging index lists what is deleted, for up to hours on AWS: what it names is asked of its own service."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regionshift.aws.clients import Clients
from regionshift.operations.leftovers import look_for_tagged
from regionshift.settings.load import load_config

pytestmark = pytest.mark.component
ACCOUNT, REGION, NAME = "123456789012", "eu-north-1", "indexed-thing"
TAGS = {"Project": "indexed", "Environment": "dev"}
LISTED: Any = [{"Key": key, "Value": value} for key, value in TAGS.items()]


class LateIndex:
    """An administrator's clients, whose index goes on listing what it was told."""

    def __init__(self, clients: Clients, listed: list[str]) -> None:
        self._clients, self._listed = clients, listed

    def named(self, service: str, region: str) -> Any:
        return self if service == "resourcegroupstaggingapi" else self._clients.named(service, region)

    get = named

    def get_paginator(self, _operation: str) -> LateIndex:
        return self

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        yield {"ResourceTagMappingList": [{"ResourceARN": arn} for arn in self._listed]}


def make(clients: Clients) -> list[str]:
    """One thing of each kind that the index knows."""
    arn = f"arn:aws:{{}}:{REGION}:{ACCOUNT}:{{}}"
    s3, functions, iam = clients.get("s3", REGION), clients.get("lambda", REGION), clients.get("iam", REGION)
    s3.create_bucket(Bucket=NAME, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_tagging(Bucket=NAME, Tagging={"TagSet": LISTED})
    services = {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]}
    trust = {"Effect": "Allow", "Principal": services, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=document, Tags=LISTED)["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("code.py", "def handler(event, context): ...")
    functions.create_function(
        FunctionName=NAME,
        Runtime="python3.11",
        Role=role,
        Handler="code.handler",
        Code={"ZipFile": code.getvalue()},
        Tags=TAGS,
    )
    clients.get("sns", REGION).create_topic(Name=NAME, Tags=LISTED)
    clients.get("sqs", REGION).create_queue(QueueName=NAME, tags=TAGS)
    clients.get("ssm", REGION).put_parameter(Name=f"/{NAME}/one", Value="v", Type="String", Tags=LISTED)
    clients.get("logs", REGION).create_log_group(logGroupName=f"/{NAME}/logs", tags=TAGS)
    clients.get("cloudwatch", REGION).put_metric_alarm(
        AlarmName=NAME,
        EvaluationPeriods=1,
        ComparisonOperator="GreaterThanThreshold",
        Threshold=1.0,
        MetricName="m",
        Namespace="n",
        Period=60,
        Statistic="Sum",
        Tags=LISTED,
    )
    clients.get("stepfunctions", REGION).create_state_machine(
        name=NAME,
        roleArn=role,
        definition='{"StartAt": "a", "States": {"a": {"Type": "Succeed"}}}',
        tags=[{"key": key, "value": value} for key, value in TAGS.items()],
    )
    vpc: Any = {"TagSpecifications": [{"ResourceType": "vpc", "Tags": LISTED}]}
    made = clients.get("ec2", REGION).create_vpc(CidrBlock="10.0.0.0/16", **vpc)["Vpc"]["VpcId"]
    return [
        role,
        f"arn:aws:s3:::{NAME}",
        arn.format("lambda", f"function:{NAME}"),
        arn.format("sns", NAME),
        arn.format("sqs", NAME),
        arn.format("ssm", f"parameter/{NAME}/one"),
        arn.format("logs", f"log-group:/{NAME}/logs"),
        arn.format("cloudwatch", f"alarm:{NAME}"),
        arn.format("states", f"stateMachine:{NAME}"),
        arn.format("ec2", f"vpc/{made}"),
    ]


def delete(clients: Clients, vpc: str) -> None:
    queue = clients.get("sqs", REGION).get_queue_url(QueueName=NAME)["QueueUrl"]
    machine = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{NAME}"
    clients.get("s3", REGION).delete_bucket(Bucket=NAME)
    clients.get("iam", REGION).delete_role(RoleName=NAME)
    clients.get("lambda", REGION).delete_function(FunctionName=NAME)
    clients.get("sns", REGION).delete_topic(TopicArn=f"arn:aws:sns:{REGION}:{ACCOUNT}:{NAME}")
    clients.get("sqs", REGION).delete_queue(QueueUrl=queue)
    clients.get("ssm", REGION).delete_parameter(Name=f"/{NAME}/one")
    clients.get("logs", REGION).delete_log_group(logGroupName=f"/{NAME}/logs")
    clients.get("cloudwatch", REGION).delete_alarms(AlarmNames=[NAME])
    clients.get("stepfunctions", REGION).delete_state_machine(stateMachineArn=machine)
    clients.get("ec2", REGION).delete_vpc(VpcId=vpc)


def test_what_is_listed_counts_while_its_service_knows_it(clients: Clients, tmp_path: Path) -> None:
    file = tmp_path / "regionshift.yaml"
    file.write_text(
        f"project: indexed\nenvironment: dev\naccount: '{ACCOUNT}'\ntarget: local\n"
        f"regions: {{primary: {REGION}}}\nnetwork: {{vpc_cidr: 10.0.0.0/16}}\n"
    )
    config = load_config(file, {}, {})
    listed = make(clients)
    strange = f"arn:aws:backup:{REGION}:{ACCOUNT}:backup-vault:of-somebody"
    late: Any = LateIndex(clients, [*listed, strange])
    assert {left.what for left in look_for_tagged(late, config, [REGION])} == {*listed, strange}
    delete(clients, listed[-1].rpartition("/")[2])
    assert [left.what for left in look_for_tagged(late, config, [REGION])] == [strange]
