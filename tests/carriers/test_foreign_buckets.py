"""A bucket of another account is carried from or to only when the entry says whose it is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from carrier_world import SOURCE, TARGET, S3Lab, World

from regionshift.aws.clients import AccessKey, Clients
from regionshift.carriers.carrier import Entry, Level
from regionshift.carriers.lines import entry_line, read_entry
from regionshift.carriers.transport import S3Error, S3Request
from regionshift.errors import Refused

OTHER_ACCOUNT = "210987654321"


@pytest.fixture(params=["source", "target"])
def side(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def strangers(world: World, region: str) -> str:
    """A versioned bucket of another account, whose policy lets everybody of this account use it."""
    name = f"stranger-{world.run}"
    cloud = world.cloud
    keys = AccessKey(OTHER_ACCOUNT, "root")
    s3 = Clients(key=keys, endpoint=cloud.endpoint, ca_bundle=cloud.ca_bundle).get("s3", region)
    if region == "us-east-1":
        s3.create_bucket(Bucket=name)
    else:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})  # type: ignore[typeddict-item]
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=name, Key="key", Body=b"content")
    for_us = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{cloud.account}:root"},
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
    }
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [for_us]}))
    return name


def to_strangers(world: World, side: str, *, account: str = "") -> Entry:
    lab = S3Lab(world)
    lab.write("source", "a", "x")
    place = lab.entry.source if side == "source" else lab.entry.target
    bucket = strangers(world, SOURCE if side == "source" else TARGET)
    foreign = replace(place, bucket=bucket, prefix="", account=account)
    return replace(lab.entry, **{side: foreign})


def test_a_strangers_bucket_is_refused_by_name_before_anything_is_written(world: World, side: str) -> None:
    entry = to_strangers(world, side)
    bucket = entry.source.bucket if side == "source" else entry.target.bucket
    before = world.versions(entry.target.bucket)

    with pytest.raises(Refused, match=f"the {side} bucket {bucket}, or it does not belong to") as refused:
        world.migrations.of("m").begin([entry], Level.FULL)

    assert f"{side}_account" in (refused.value.remedy or "")
    assert world.versions(entry.target.bucket) == before


def test_a_bucket_whose_account_is_named_is_used(world: World, side: str) -> None:
    entry = to_strangers(world, side, account=OTHER_ACCOUNT)
    world.migrations.carriers["s3"].check(entry)
    items = [item.key for item in world.migrations.carriers["s3"].inventory(entry, iter(()))]
    assert items == (["key"] if side == "source" else ["a"])


def test_what_objects_of_a_named_account_leave_behind_is_seen(world: World, side: str) -> None:
    entry = to_strangers(world, side, account=OTHER_ACCOUNT)
    (part,) = world.migrations.of("p").plan([entry], Level.FULL).entries
    assert (part.counts, dict(part.left)) == ({"new": 1}, {})


def test_a_bucket_that_is_ours_and_named_another_accounts_is_refused(world: World, side: str) -> None:
    lab = S3Lab(world)
    place = lab.entry.source if side == "source" else lab.entry.target
    entry = replace(lab.entry, **{side: replace(place, account=OTHER_ACCOUNT)})
    with pytest.raises(Refused, match=f"does not belong to account {OTHER_ACCOUNT}"):
        world.migrations.of("m").begin([entry], Level.FULL)


def test_records_keep_the_account(world: World, side: str) -> None:
    entry = to_strangers(world, side, account=OTHER_ACCOUNT)
    assert read_entry(entry_line(entry)) == entry


@pytest.mark.parametrize(
    "query", [(), (("partNumber", "1"), ("uploadId", "none"))], ids=["CopyObject", "UploadPartCopy"]
)
def test_a_copy_says_whose_bucket_it_copies_from(world: World, query: tuple[tuple[str, str], ...]) -> None:
    target, source = world.bucket("target", TARGET), strangers(world, TARGET)
    headers = {"x-amz-copy-source": f"/{source}/key"}
    copy = S3Request("PUT", TARGET, target, "copy", query, headers)

    with pytest.raises(S3Error) as refused:
        world.transport.send(copy)
    assert refused.value.code == "AccessDenied"

    # Past that the emulator finds no bucket of another account to copy from: AWS copies.
    with pytest.raises(S3Error) as allowed:
        world.transport.send(replace(copy, source_owner=OTHER_ACCOUNT))
    assert allowed.value.code in ("NoSuchBucket", "NoSuchUpload")
