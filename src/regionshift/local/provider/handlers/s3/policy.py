"""The policy of a bucket."""

from __future__ import annotations

from typing import Any

from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handlers.s3.setting import BUCKET, BucketSettingHandler
from regionshift.local.provider.wire import Properties


class BucketPolicyHandler(BucketSettingHandler):
    """One document a bucket."""

    token = "aws:s3/bucketPolicy:BucketPolicy"
    fields = {"bucket": BUCKET, "policy": Field(FieldType.POLICY, required=True)}

    def put(self, s3: Any, inputs: Properties) -> None:
        s3.put_bucket_policy(Bucket=inputs["bucket"], Policy=inputs["policy"])

    def get(self, s3: Any, bucket: str) -> Properties | None:
        return {"policy": s3.get_bucket_policy(Bucket=bucket)["Policy"]}

    def remove(self, s3: Any, bucket: str) -> None:
        s3.delete_bucket_policy(Bucket=bucket)
