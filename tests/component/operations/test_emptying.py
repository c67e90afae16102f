"""A bucket is emptied whatever its keys are called, and what cannot be deleted is named instead of tried for ever."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.carriers.s3.undoing import empty_bucket
from regionshift.errors import WorkFailed
from regionshift.operations.emptying import count_held

pytestmark = pytest.mark.component
REGION = "eu-west-1"
CONTROLS = [chr(code) for code in (*range(1, 0x20), 0x7F, 0x85, 0x9F, 0xFFFE, 0xFFFF, 0x2028)]
ODD = [
    *(f"a{control}b" for control in CONTROLS),
    "".join(CONTROLS),
    "\r", "\r\n",
    "😀/👩‍👩‍👧.png", "slash/", "/", "//", "a//b", "..", "../x", "a/../b", "./a", ".", "a&b<c>]]>", "%0D", "a+b c",
    "é", "e\u0301", "k" * 1024,
]  # fmt: skip


@pytest.fixture
def bucket(clients: Clients) -> Iterator[str]:
    s3, name = clients.get("s3", REGION), f"odd-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    yield name


def test_every_key_that_s3_takes_is_deleted(clients: Clients, bucket: str) -> None:
    s3 = clients.get("s3", REGION)
    held, controls = 0, set[str]()
    for key in ODD:
        try:
            s3.put_object(Bucket=bucket, Key=key, Body=b"1")
        except ClientError:
            continue  # the embedded AWS keeps objects as files, and a name that the file system refuses
        held += 1
        controls.update(each for each in CONTROLS if each in key)
        s3.delete_object(Bucket=bucket, Key=key)  # a marker, which is to go too
    assert {"\r", "\x1b", "\x7f"} <= controls
    s3.create_multipart_upload(Bucket=bucket, Key="a\rb+c")
    assert empty_bucket(s3, bucket) == 2 * held + 1
    s3.delete_bucket(Bucket=bucket)


def test_what_a_bucket_holds_is_counted_up_to_a_limit(clients: Clients, bucket: str) -> None:
    s3 = clients.get("s3", REGION)
    for _ in range(2):
        s3.put_object(Bucket=bucket, Key="twice", Body=b"1")
    s3.delete_object(Bucket=bucket, Key="twice")
    assert count_held(clients, REGION, bucket) == 3
    assert count_held(clients, REGION, bucket, most=2) == 2
    assert count_held(clients, REGION, f"not-there-{uuid.uuid4().hex[:12]}") == 0


class Stubborn:
    """S3, which lists the same versions whatever is deleted, and answers deletions as it is told."""

    def __init__(self, keys: list[str], code: str | None = None, goes: int = 0) -> None:
        self.left, self.code, self.goes = keys, code, goes
        self.asked: list[str] = []

    def delete_objects(self, *, Delete: Any, **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's name
        keys = [each["Key"] for each in Delete["Objects"]]
        self.asked += keys
        if self.code is None:
            return {}
        gone, stay = keys[: self.goes], keys[self.goes :]
        self.left = [key for key in self.left if key not in gone]
        return {"Errors": [{"Key": k, "VersionId": "v1", "Code": self.code, "Message": "no"} for k in stay]}

    def delete_object(self, *, Key: str, **_: Any) -> None:  # noqa: N803 - boto3's name
        self.asked.append(Key)
        if self.code is not None:
            raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, "DeleteObject")

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        """A page may be empty, and another follow it."""
        return [{}, {"Versions": [{"Key": key, "VersionId": "v1"} for key in self.left]}]


@pytest.mark.parametrize("key", ["plain", "a\rb"])
def test_what_is_there_again_ends_with_a_sentence(key: str) -> None:
    s3: Any = Stubborn([key])
    with pytest.raises(WorkFailed, match="are still there although S3 reported") as failed:
        empty_bucket(s3, "b")
    assert ascii(key) in failed.value.message
    assert len(s3.asked) == 1


@pytest.mark.parametrize("key", ["locked", "lo\x1bcked"])
def test_what_may_not_be_deleted_is_named_with_the_way_out(key: str) -> None:
    s3: Any = Stubborn([key, f"{key}2"], "AccessDenied")
    with pytest.raises(WorkFailed, match="2 versions") as failed:
        empty_bucket(s3, "b")
    assert ascii(key) in failed.value.message
    assert "\x1b" not in failed.value.message
    assert "Object Lock" in str(failed.value.remedy)


def test_trouble_of_s3_is_passing_as_long_as_something_goes() -> None:
    s3: Any = Stubborn([f"k{n}" for n in range(5)], "SlowDown", goes=2)
    assert empty_bucket(s3, "b") == 5
    stuck: Any = Stubborn(["k"], "SlowDown")
    with pytest.raises(WorkFailed, match="SlowDown"):
        empty_bucket(stuck, "b")
