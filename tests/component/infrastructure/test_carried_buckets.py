"""Buckets that ``carry`` asks the program to create."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError
from recorder import REGIONS, built, config

CARRY = {
    "s3": [
        {"bucket": "old-media", "target_bucket": "media-{region}", "created_by": "regionshift"},
        {"bucket": "old-docs", "target_bucket": "media-{region}", "target_prefix": "docs/"},
        {"bucket": "theirs-{region}"},
    ]
}


@pytest.mark.parametrize("region", REGIONS)
def test_one_is_made_in_every_region_as_safe_as_the_deployment_bucket(region: str) -> None:
    run = built(config(carry=CARRY))
    name = f"media-{region}"

    def of(kind: str) -> dict[str, Any]:
        (found,) = [one for one in run.of(kind) if one.name.startswith(f"carried-{name}")]
        return dict(found.inputs)

    assert of("s3/bucket:Bucket")["bucket"] == name
    versioning = "s3/bucketVersioning:BucketVersioning"
    assert of(versioning)["versioningConfiguration"] == {"status": "Enabled"}
    (rule,) = of("s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")[
        "rules"
    ]
    default = rule["applyServerSideEncryptionByDefault"]
    assert default["sseAlgorithm"] == "aws:kms"
    assert default["kmsMasterKeyId"] == run.one(f"key-{region}").inputs.get("arn", default["kmsMasterKeyId"])
    block = of("s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
    assert all(value for field, value in block.items() if field != "bucket")
    (statement,) = json.loads(of("s3/bucketPolicy:BucketPolicy")["policy"])["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_what_is_the_users_is_not_made() -> None:
    names = {one.inputs["bucket"] for one in built(config(carry=CARRY)).of("s3/bucket:Bucket")}
    assert {f"media-{region}" for region in REGIONS} <= names
    assert not any(name.startswith(("theirs", "old")) for name in names)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"bucket": "a-{region}", "target_bucket": "fixed", "created_by": "regionshift"}, "region"),
        (
            {"bucket": "a-{region}", "target_account": "210987654321", "created_by": "regionshift"},
            "this account alone",
        ),
        ({"source_account": "210987654321"}, "source_account only with a bucket"),
        ({"target_account": "210987654321"}, "target_account only with a bucket"),
        ({"bucket": "x" * 55 + "-{region}", "created_by": "regionshift"}, "63"),
    ],
)
def test_a_bucket_that_cannot_be_made_or_belong_as_asked_is_refused(
    entry: dict[str, str], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        config(carry={"s3": [entry]})
