"""Requests as botocore writes them are read back as they were meant, and what AWS would refuse is seen, by protocol."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.session import get_session

from regionshift.local.child import Requests
from service_models import Recorded, read_back, violations

REGION = "eu-west-1"


def sent(service: str, operation: str, **parameters: Any) -> Recorded:
    """The request that botocore would send, with none of its own checks."""
    session = get_session()
    session.set_credentials("AKIAEXAMPLE", "secret")
    config = Config(
        parameter_validation=False, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}
    )
    client = session.create_client(service, REGION, endpoint_url="https://127.0.0.1:1", config=config)
    seen: list[AWSPreparedRequest] = []

    def keep(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        seen.append(request)
        return AWSResponse(request.url, 500, {}, None)  # type: ignore[arg-type]

    client.meta.events.register("before-send", keep)
    with pytest.raises(Exception):  # noqa: B017 - nobody answers
        getattr(client, operation)(**parameters)
    url = urlsplit(seen[0].url)
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in seen[0].headers.items()
    }
    body = seen[0].body
    raw = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else None
    return Recorded(seen[0].method, url.path, url.query, headers, raw)


RIGHT: list[tuple[str, str, dict[str, Any]]] = [
    ("s3", "put_object", {"Bucket": "a-bucket", "Key": "a/b ü", "Body": b"x", "Metadata": {"k": "v"}}),
    ("s3", "copy_object", {"Bucket": "a-bucket", "Key": "k", "CopySource": {"Bucket": "b", "Key": "c"}}),
    (
        "s3",
        "upload_part_copy",
        {"Bucket": "b", "Key": "k", "CopySource": "b/c", "PartNumber": 3, "UploadId": "u"},
    ),
    ("s3", "list_objects_v2", {"Bucket": "a-bucket", "Prefix": "p/", "MaxKeys": 7}),
    (
        "s3",
        "delete_objects",
        {"Bucket": "b", "Delete": {"Objects": [{"Key": "a"}, {"Key": "b"}], "Quiet": True}},
    ),
    (
        "s3",
        "put_bucket_lifecycle_configuration",
        {
            "Bucket": "b",
            "LifecycleConfiguration": {
                "Rules": [
                    {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 3}}
                ]
            },
        },
    ),
    ("ec2", "describe_vpcs", {"Filters": [{"Name": "tag:a", "Values": ["b", "c"]}]}),
    (
        "ec2",
        "create_vpc",
        {
            "CidrBlock": "10.0.0.0/16",
            "TagSpecifications": [{"ResourceType": "vpc", "Tags": [{"Key": "a", "Value": "b"}]}],
        },
    ),
    (
        "iam",
        "create_role",
        {"RoleName": "r", "AssumeRolePolicyDocument": "{}", "Tags": [{"Key": "a", "Value": "ü"}]},
    ),
    ("sns", "create_topic", {"Name": "t", "Attributes": {"a": "b"}, "Tags": [{"Key": "a", "Value": "b"}]}),
    ("lambda", "invoke", {"FunctionName": "f", "InvocationType": "Event", "Payload": b"{}"}),
    (
        "lambda",
        "create_function",
        {"FunctionName": "f", "Role": "arn:aws:iam::123456789012:role/r", "Code": {}},
    ),
    ("lambda", "list_versions_by_function", {"FunctionName": "f", "MaxItems": 5}),
    ("ssm", "put_parameter", {"Name": "/a", "Value": "v", "Type": "String"}),
    ("secretsmanager", "create_secret", {"Name": "a", "SecretBinary": b"\0"}),
    ("cloudwatch", "put_dashboard", {"DashboardName": "d", "DashboardBody": "{}"}),
    ("resourcegroupstaggingapi", "get_resources", {"TagFilters": [{"Key": "a", "Values": ["b"]}]}),
]
WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    ("s3", "put_object_acl", {"Bucket": "b", "Key": "k", "ACL": "mine"}, "none of"),
    ("s3", "list_objects_v2", {"Bucket": "b", "EncodingType": "utf"}, "none of"),
    ("s3", "put_bucket_versioning", {"Bucket": "b", "VersioningConfiguration": {"Status": "on"}}, "none of"),
    ("ec2", "describe_vpcs", {"MaxResults": 1}, "not in 5 to 1000"),
    ("iam", "create_role", {"RoleName": "r" * 65, "AssumeRolePolicyDocument": "{}"}, "65 long"),
    ("iam", "create_role", {"RoleName": "r", "AssumeRolePolicyDocument": "{}", "Description": "☃"}, "match"),
    ("lambda", "create_function", {"FunctionName": "f", "Role": "r", "Code": {}}, "match"),
    ("lambda", "create_function", {"FunctionName": "f", "Code": {}}, "Role: missing"),
    ("lambda", "list_versions_by_function", {"FunctionName": "f", "MaxItems": 0}, "not in 1"),
    ("ssm", "put_parameter", {"Name": "/a", "Value": "v", "Type": "Text"}, "none of"),
    ("secretsmanager", "create_secret", {"Name": "a" * 513}, "513 long"),
    ("cloudwatch", "put_metric_alarm", {"AlarmName": "a", "EvaluationPeriods": 0}, "not in 1"),
    ("kms", "schedule_key_deletion", {"KeyId": "k", "PendingWindowInDays": 0}, "not in 1"),
    ("stepfunctions", "start_execution", {"stateMachineArn": "a", "name": "n" * 81}, "81 long"),
]


@pytest.mark.parametrize(("service", "operation", "parameters"), RIGHT)
def test_a_request_is_read_back_as_it_was_given(
    service: str, operation: str, parameters: dict[str, Any]
) -> None:
    recorded = sent(service, operation, **parameters)
    assert violations(recorded) == []
    read = read_back(recorded)
    assert read.operation.name.lower() == operation.replace("_", "").lower()
    given = {
        name: value
        for name, value in parameters.items()
        if name not in ("Body", "CopySource", "Payload")  # as the wire has them
    }
    assert {name: read.parameters[name] for name in given} == given


@pytest.mark.parametrize(("service", "operation", "parameters", "problem"), WRONG)
def test_what_the_model_does_not_allow_is_said(
    service: str, operation: str, parameters: dict[str, Any], problem: str
) -> None:
    found = violations(sent(service, operation, **parameters))
    assert len(found) == 1
    assert problem in found[0]


def test_what_no_member_holds_is_unknown() -> None:
    recorded = sent("s3", "put_object", Bucket="a", Key="b", Body=b"")
    more = Recorded(recorded.method, recorded.path, "odd=1", {**recorded.headers, "x-amz-odd": "1"}, b"")
    assert violations(more) == ["s3 PutObject odd: unknown", "s3 PutObject x-amz-odd: unknown"]


@pytest.mark.parametrize(
    ("service", "path", "is_kept"),
    [
        ("lambda", "/2015-03-31/functions/a/configuration", True),
        ("s3", "/bucket/key", False),
        ("s3", "/bucket", True),
    ],
)
def test_all_but_the_bytes_of_objects_is_written_down(
    tmp_path: Path, service: str, path: str, is_kept: bool
) -> None:
    async def whole(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()

    async def receive() -> Any:
        return {"type": "http.request", "body": b"what is sent"}

    signed = f"AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/{service}/aws4_request".encode()
    scope = {"type": "http", "method": "PUT", "raw_path": path.encode(), "query_string": b""}
    to = tmp_path / "requests.jsonl"
    asyncio.run(Requests(whole, to)({**scope, "headers": [(b"authorization", signed)]}, receive, None))
    assert json.loads(to.read_text())["body"] == ("what is sent" if is_kept else None)


def test_a_request_whose_sender_was_killed_on_the_way_is_none(tmp_path: Path) -> None:
    async def cut(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    headers = [(b"authorization", b"AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/iam/aws4_request")]
    scope = {"type": "http", "method": "POST", "raw_path": b"/", "query_string": b""}
    to = tmp_path / "requests.jsonl"
    asyncio.run(
        Requests(cut, to)({**scope, "headers": [*headers, (b"content-length", b"114")]}, receive, None)
    )
    assert to.read_text() == ""
