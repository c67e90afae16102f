"""The embedded AWS asks policies about whole keys of objects; whether it still needs our help for it."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.local.iam_gaps import of_whole_keys, over_lines

REGION = "eu-west-1"


@pytest.fixture
def bucket(clients: Clients) -> str:
    name = f"gap-{uuid.uuid4().hex}"
    clients.get("s3", REGION).create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return name


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
    user: Callable[..., Clients],
    bucket: str,
    pattern: str,
    may: tuple[str, ...],
    may_not: tuple[str, ...],
) -> None:
    allow = {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/{pattern}"}
    s3 = user(allow).get("s3", REGION)
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
