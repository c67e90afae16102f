"""The embedded AWS refuses a bucket of another account than expected; whether it still needs our help for it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from regionshift.aws.clients import AccessKey, Clients
from regionshift.carriers.transport import EXPECTED
from regionshift.local.emulator import LocalCloud
from regionshift.local.iam_gaps import with_account_of_buckets, with_roles_of_sessions

REGION = "eu-west-1"
OTHER_ACCOUNT = "210987654321"


@dataclass(frozen=True)
class Neighbours:
    """A bucket of ours and one of another account that lets everybody in this one use it."""

    own: str
    other: str


@pytest.fixture(scope="module")
def buckets(cloud: LocalCloud, clients: Clients) -> Neighbours:
    run = uuid.uuid4().hex[:10]
    found = Neighbours(f"own-{run}", f"other-{run}")
    theirs = Clients(
        key=AccessKey(OTHER_ACCOUNT, "root"), endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle
    ).get("s3", REGION)
    for s3, name in ((clients.get("s3", REGION), found.own), (theirs, found.other)):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=name, Key="key", Body=b"content")
    everything = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{cloud.account}:root"},
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{found.other}", f"arn:aws:s3:::{found.other}/*"],
    }
    theirs.put_bucket_policy(
        Bucket=found.other, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    )
    return found


@pytest.fixture(scope="module")
def careful(cloud: LocalCloud) -> Clients:
    """The administrator's clients, as the command has them."""
    key = AccessKey(cloud.access_key, cloud.secret_key)
    return Clients(key=key, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle, account=cloud.account)


ASKED: dict[str, Any] = {
    "head_bucket": {},
    "get_bucket_versioning": {},
    "list_objects_v2": {},
    "list_object_versions": {},
    "get_object": {"Key": "key"},
    "put_object": {"Key": "new", "Body": b""},
    "delete_object": {"Key": "new"},
    "delete_objects": {"Delete": {"Objects": [{"Key": "new"}]}},
    "create_multipart_upload": {"Key": "large"},
}


@pytest.mark.parametrize("operation", ASKED)
def test_a_bucket_of_another_account_is_refused_unless_it_is_expected(
    clients: Clients, careful: Clients, buckets: Neighbours, operation: str
) -> None:
    given = ASKED[operation]
    getattr(clients.get("s3", REGION), operation)(Bucket=buckets.other, **given)  # it may be used
    ask = getattr(careful.get("s3", REGION), operation)
    with pytest.raises(ClientError, match=r"403|AccessDenied"):
        ask(Bucket=buckets.other, **given)
    ask(Bucket=buckets.other, ExpectedBucketOwner=OTHER_ACCOUNT, **given)
    ask(Bucket=buckets.own, **given)


@pytest.mark.parametrize("operation", ["copy_object", "upload_part_copy"])
def test_a_copy_from_a_bucket_of_another_account_is_refused_unless_it_is_expected(
    clients: Clients, careful: Clients, buckets: Neighbours, operation: str
) -> None:
    upload = clients.get("s3", REGION).create_multipart_upload(Bucket=buckets.own, Key="copy")["UploadId"]
    part: dict[str, Any] = {"UploadId": upload, "PartNumber": 1} if operation == "upload_part_copy" else {}
    given = {"Bucket": buckets.own, "Key": "copy", "CopySource": f"{buckets.other}/key", **part}
    copy = getattr(careful.get("s3", REGION), operation)
    copy(**{**given, "CopySource": f"{buckets.own}/key"})
    with pytest.raises(ClientError, match="AccessDenied"):
        copy(**given)
    # Past that the emulator finds no bucket of another account to copy from: AWS copies.
    with pytest.raises(ClientError, match="NoSuchBucket"):
        copy(**given, ExpectedSourceBucketOwner=OTHER_ACCOUNT)


def test_calls_that_take_no_owner_are_left_as_they_are(careful: Clients) -> None:
    s3 = careful.get("s3", REGION)
    name = f"made-{uuid.uuid4().hex[:10]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    assert name in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}


@pytest.fixture
def bounded(cloud: LocalCloud, user: Callable[..., Clients]) -> Clients:
    """A user with every right in buckets of this account alone."""
    only_here = {
        "Effect": "Allow",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceAccount": cloud.account}},
    }
    return user(only_here)


def test_the_account_of_a_bucket_is_its_owners_for_policies(bounded: Clients, buckets: Neighbours) -> None:
    s3 = bounded.get("s3", REGION)
    s3.get_object(Bucket=buckets.own, Key="key")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.get_object(Bucket=buckets.other, Key="key")


def test_the_emulator_still_needs_it() -> None:
    """When this fails, the parts of `local/s3_gaps.py` and `iam_gaps.py` about owners can go."""
    evaluator = pytest.importorskip("ministack.core.iam_evaluator")
    s3 = pytest.importorskip("ministack.services.s3")
    assert EXPECTED not in Path(s3.__file__).read_text()
    asked = SimpleNamespace(resource_arn="arn:aws:s3:::theirs/key", principal_account="123456789012")
    resolve = evaluator._resolve_condition_key
    assert resolve("aws:ResourceAccount", asked) == "123456789012"
    assert (
        with_account_of_buckets(resolve, lambda _: OTHER_ACCOUNT)("aws:ResourceAccount", asked)
        == OTHER_ACCOUNT
    )


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ("arn:aws:sts::123456789012:assumed-role/ops/ann", "arn:aws:iam::123456789012:role/team/ops"),
        (
            "arn:aws:sts::123456789012:assumed-role/gone/ann",
            "arn:aws:sts::123456789012:assumed-role/gone/ann",
        ),
        ("arn:aws:iam::123456789012:user/ann", "arn:aws:iam::123456789012:user/ann"),
    ],
)
def test_the_principal_of_a_session_is_its_role(found: str, wanted: str) -> None:
    roles = {("123456789012", "ops"): "arn:aws:iam::123456789012:role/team/ops"}
    resolve = with_roles_of_sessions(lambda *_: found, lambda *which: roles.get(which))
    assert resolve("aws:PrincipalArn", None) == wanted
    assert resolve("aws:userid", None) == found
