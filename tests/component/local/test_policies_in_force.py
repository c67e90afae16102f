"""What makes a rehearsal on the embedded AWS worth something: TLS, signatures and policies are real."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
import uuid
import zipfile
from typing import Any

import pytest

from regionshift.aws.clients import AccessKey, Clients
from regionshift.aws.errors import AwsFailed
from regionshift.local.emulator import LocalCloud

REGION = "eu-west-1"

FUNCTION = """
import os, ssl, urllib.request
import boto3

def handler(event, context):
    boto3.client("s3").put_object(Bucket=event["bucket"], Key="from-lambda", Body=b"over TLS")
    url = os.environ["AWS_ENDPOINT_URL"] + "/_ministack/ready"
    with urllib.request.urlopen(url) as answer:
        return {"url": url, "status": answer.status, "profile": os.environ.get("AWS_PROFILE")}
"""


@pytest.fixture
def bucket(clients: Clients) -> str:
    name = f"policies-{uuid.uuid4().hex[:8]}"
    location = {"LocationConstraint": REGION}
    clients.call(REGION, "s3", "create_bucket", Bucket=name, CreateBucketConfiguration=location)
    return name


def deny(clients: Clients, bucket: str, secure: str) -> None:
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": secure}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    clients.call(REGION, "s3", "put_bucket_policy", Bucket=bucket, Policy=policy)


def test_a_tls_only_policy_lets_tls_through(clients: Clients, bucket: str) -> None:
    deny(clients, bucket, "false")
    clients.call(REGION, "s3", "put_object", Bucket=bucket, Key="a", Body=b"x")


def test_the_same_policy_turned_round_stops_even_the_administrator(clients: Clients, bucket: str) -> None:
    deny(clients, bucket, "true")
    with pytest.raises(AwsFailed) as caught:
        clients.call(REGION, "s3", "put_object", Bucket=bucket, Key="a", Body=b"x")
    assert caught.value.code == "AccessDenied"


def test_nothing_answers_without_tls(cloud: LocalCloud) -> None:
    with pytest.raises((urllib.error.URLError, OSError)):
        urllib.request.urlopen(cloud.endpoint.replace("https:", "http:") + "/_ministack/ready", timeout=5)


def test_a_wrong_secret_is_not_let_in(cloud: LocalCloud) -> None:
    key = AccessKey(cloud.access_key, "not-the-secret")
    wrong = Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle)
    with pytest.raises(AwsFailed) as caught:
        wrong.call(REGION, "sts", "get_caller_identity")
    assert caught.value.code == "SignatureDoesNotMatch"
    assert caught.value.is_about_credentials


def test_a_function_reaches_the_cloud_over_tls(cloud: LocalCloud, clients: Clients, bucket: str) -> None:
    deny(clients, bucket, "false")
    answer = invoke(clients, make_function(clients, bucket), {"bucket": bucket})
    assert answer == {"url": f"{cloud.endpoint}/_ministack/ready", "status": 200, "profile": None}
    body = clients.call(REGION, "s3", "get_object", Bucket=bucket, Key="from-lambda")["Body"]
    assert body.read() == b"over TLS"


def make_function(clients: Clients, bucket: str) -> str:
    name = f"function-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    put = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    role = clients.call(REGION, "iam", "create_role", RoleName=name, AssumeRolePolicyDocument=document(trust))
    clients.call(
        REGION, "iam", "put_role_policy", RoleName=name, PolicyName="put", PolicyDocument=document(put)
    )
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", FUNCTION)
    clients.call(
        REGION,
        "lambda",
        "create_function",
        FunctionName=name,
        Role=role["Role"]["Arn"],
        Runtime="python3.13",
        Handler="index.handler",
        Timeout=30,
        Code={"ZipFile": code.getvalue()},
    )
    return name


def invoke(clients: Clients, function: str, event: dict[str, Any]) -> Any:
    answer = clients.call(
        REGION, "lambda", "invoke", FunctionName=function, Payload=json.dumps(event).encode()
    )
    return json.loads(answer["Payload"].read())


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
