"""The embedded AWS asks policies about whole keys of objects; whether it still needs our help for it."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from regionshift.aws.clients import AccessKey, Clients
from regionshift.local.emulator import LocalCloud
from regionshift.local.iam_gaps import of_whole_keys, over_lines

REGION = "eu-west-1"


@pytest.fixture
def bucket(clients: Clients) -> str:
    name = f"gap-{uuid.uuid4().hex}"
    clients.get("s3", REGION).create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return name


def s3_of(cloud: LocalCloud, clients: Clients, resource: str) -> Any:
    """S3 as a new user who may do everything to ``resource``."""
    iam, name = clients.get("iam", REGION), f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    allow = {"Effect": "Allow", "Action": "s3:*", "Resource": resource}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_user_policy(UserName=name, PolicyName="inline", PolicyDocument=document)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    key = AccessKey(made["AccessKeyId"], made["SecretAccessKey"])
    return Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle).get("s3", REGION)


@pytest.mark.parametrize(
    ("pattern", "may", "may_not"),
    [
        ("data/*", ("data/", "data//a", "data/a\nb", "data/a\n"), ("data", "/data/a")),
        ("/*", ("/", "//", "/a"), ("a",)),
        ("a//b", ("a//b",), ("a/b", "a///b")),
        ("a", ("a",), ("a/", "a\n")),
    ],
)
def test_a_key_is_asked_about_with_all_its_characters(
    cloud: LocalCloud,
    clients: Clients,
    bucket: str,
    pattern: str,
    may: tuple[str, ...],
    may_not: tuple[str, ...],
) -> None:
    s3 = s3_of(cloud, clients, f"arn:aws:s3:::{bucket}/{pattern}")
    for key in may:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
        s3.copy_object(
            Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": key}, MetadataDirective="REPLACE"
        )
        s3.delete_object(Bucket=bucket, Key=key)
    for key in may_not:
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.put_object(Bucket=bucket, Key=key, Body=b"x")


def test_the_emulator_still_needs_it() -> None:
    """On the emulator as its authors ship it; when this fails, that part of `local/iam_gaps.py` can go."""
    actions = pytest.importorskip("ministack.core.iam_actions")
    evaluator = pytest.importorskip("ministack.core.iam_evaluator")
    asked = ("s3", "PUT", "/b/data/", {}, b"", {}, REGION, "123456789012")
    assert actions.extract_resource_arn(*asked) == "arn:aws:s3:::b/data"
    assert of_whole_keys(actions.extract_resource_arn, path=2)(*asked) == "arn:aws:s3:::b/data/"
    assert actions._s3_action("DELETE", "/b//", {}) == "DeleteBucket"
    assert not evaluator._fnmatch_compile("a*", False).match("a\nb")
    assert over_lines(evaluator._fnmatch_compile)("a*", False).match("a\nb")
