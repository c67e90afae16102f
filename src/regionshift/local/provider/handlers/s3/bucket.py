"""The bucket itself; everything set on it is a resource of its own."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from regionshift.carriers.s3.removing import empty_bucket
from regionshift.errors import WorkFailed
from regionshift.local.provider.failures import code_of, is_gone
from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handler import Context, Handler
from regionshift.local.provider.tags import from_list, to_list
from regionshift.local.provider.wire import Properties

_NO_CONSTRAINT = "us-east-1"  # S3 API Reference, CreateBucket, LocationConstraint: not to be given there

# AWS General Reference, "Amazon S3 endpoints and quotas", Route 53 hosted zone ids; only what the
# program could alias. A region that is not listed has none here.
_HOSTED_ZONES = {
    "us-east-1": "Z3AQBSTGFYJSTF",
    "us-west-2": "Z3BJ6K6RIION7M",
    "eu-west-1": "Z1BKCTXD74EZPE",
    "eu-central-1": "Z21DNDUVLTQW6Q",
}


class BucketHandler(Handler):
    """Name and object lock replace. ``forceDestroy`` empties it of every version before it goes."""

    token = "aws:s3/bucket:Bucket"
    name = "bucket"
    name_limit = 63
    taggable = True
    fields = {
        "bucket": Field(required=True, replaces=True),
        "forceDestroy": Field(FieldType.FLAG, default=False, opaque=True),
        "objectLockEnabled": Field(FieldType.FLAG, computed=True, replaces=True),
    }
    outputs = ("arn", "bucketDomainName", "bucketRegionalDomainName", "bucketRegion")

    def find(self, context: Context, inputs: Properties) -> str | None:
        bucket = str(inputs["bucket"])
        s3 = context.client("s3")
        try:
            s3.head_bucket(Bucket=bucket)
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        if context.owns(_tags(s3, bucket)):
            return bucket
        # In us-east-1 CreateBucket of one's own bucket succeeds, and would take over a stranger's.
        raise WorkFailed(
            f"bucket {bucket} exists and was not made by this environment",
            where=context.region,
            remedy="choose another project or environment name, or remove the bucket",
        )

    def create(self, context: Context, inputs: Properties) -> str:
        bucket = str(inputs["bucket"])
        configuration: dict[str, Any] = {"Tags": to_list(context.tags(inputs))}
        if context.region != _NO_CONSTRAINT:
            configuration["LocationConstraint"] = context.region
        context.client("s3").create_bucket(
            Bucket=bucket,
            CreateBucketConfiguration=configuration,
            ObjectLockEnabledForBucket=bool(inputs.get("objectLockEnabled")),
        )
        return bucket

    def read(self, context: Context, identity: str) -> Properties | None:
        s3 = context.client("s3")
        region = s3.head_bucket(Bucket=identity)["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
        return {
            "bucket": identity,
            "arn": f"arn:aws:s3:::{identity}",
            "bucketDomainName": f"{identity}.s3.amazonaws.com",
            "bucketRegionalDomainName": f"{identity}.s3.{context.region}.amazonaws.com",
            "bucketRegion": region or context.region,
            "hostedZoneId": _HOSTED_ZONES.get(context.region),
            "objectLockEnabled": _is_locked(s3, identity),
            "tags": _tags(s3, identity),
        }

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        s3 = context.client("s3")
        try:
            s3.delete_bucket(Bucket=identity)
        except ClientError as error:
            if code_of(error) != "BucketNotEmpty" or not properties.get("forceDestroy"):
                raise
            if not context.owns(_tags(s3, identity)):
                raise WorkFailed(
                    f"bucket {identity} was not made by this environment, so it is not emptied",
                    where=context.region,
                    remedy="take it out of the state, or empty it yourself",
                ) from error
            empty_bucket(s3, identity)
            s3.delete_bucket(Bucket=identity)

    def tag(self, context: Context, identity: str, tags: dict[str, str]) -> None:
        context.client("s3").put_bucket_tagging(Bucket=identity, Tagging={"TagSet": to_list(tags)})


def _tags(s3: Any, bucket: str) -> dict[str, str]:
    try:
        return from_list(s3.get_bucket_tagging(Bucket=bucket)["TagSet"])
    except ClientError as error:
        if code_of(error) == "NoSuchTagSet":
            return {}
        raise


def _is_locked(s3: Any, bucket: str) -> bool:
    try:
        lock = s3.get_object_lock_configuration(Bucket=bucket)
    except ClientError as error:
        if code_of(error) == "ObjectLockConfigurationNotFoundError":
            return False
        raise
    return bool(lock["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled")
