"""What the contract cannot say about buckets and what lies in them."""

from __future__ import annotations

import grpc
import pytest
from provider_cases.s3 import new_bucket
from provider_lab import Lab

pytestmark = pytest.mark.provider

_BUCKET = "aws:s3/bucket:Bucket"


def _fill(lab: Lab, bucket: str) -> None:
    s3 = lab.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"first", b"second"):
        s3.put_object(Bucket=bucket, Key="kept", Body=body)
    s3.delete_object(Bucket=bucket, Key="kept")
    s3.create_multipart_upload(Bucket=bucket, Key="unfinished")


def test_a_bucket_goes_with_all_its_versions_only_when_asked(lab: Lab) -> None:
    inputs = {"bucket": f"{lab.unique}-full-123456789012"}
    made = lab.create(_BUCKET, inputs)
    _fill(lab, made.identity)
    with pytest.raises(grpc.RpcError, match="BucketNotEmpty"):
        lab.delete(made)
    assert lab.refresh(made) is not None
    lab.delete(lab.update(made, {**inputs, "forceDestroy": True}))
    assert lab.refresh(made) is None


def test_a_bucket_of_somebody_else_is_never_taken_over(lab: Lab) -> None:
    name = f"{lab.unique}-theirs-123456789012"
    lab.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": lab.region})
    with pytest.raises(grpc.RpcError, match="exists and does not belong to this environment"):
        lab.create(_BUCKET, {"bucket": name})


def test_a_setting_goes_with_its_bucket(lab: Lab) -> None:
    bucket = new_bucket(lab)
    inputs = {"bucket": bucket, "versioningConfiguration": {"status": "Enabled"}}
    made = lab.create("aws:s3/bucketVersioning:BucketVersioning", inputs)
    lab.client("s3").delete_bucket(Bucket=bucket)
    assert lab.refresh(made) is None
    lab.delete(made)
