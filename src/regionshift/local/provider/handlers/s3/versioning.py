"""Versioning of a bucket."""

from __future__ import annotations

from typing import Any

from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handlers.s3.setting import BUCKET, BucketSettingHandler
from regionshift.local.provider.wire import Properties


class BucketVersioningHandler(BucketSettingHandler):
    """Enabled or suspended. AWS cannot turn it off again, so removing it suspends it."""

    token = "aws:s3/bucketVersioning:BucketVersioning"
    fields = {
        "bucket": BUCKET,
        "versioningConfiguration": Field(
            FieldType.OBJECT,
            required=True,
            items={"status": Field(required=True, allowed=("Enabled", "Suspended"))},
        ),
    }

    def put(self, s3: Any, inputs: Properties) -> None:
        status = inputs["versioningConfiguration"]["status"]
        s3.put_bucket_versioning(Bucket=inputs["bucket"], VersioningConfiguration={"Status": status})

    def get(self, s3: Any, bucket: str) -> Properties | None:
        status = s3.get_bucket_versioning(Bucket=bucket).get("Status")
        return {"versioningConfiguration": {"status": status}} if status else None

    def remove(self, s3: Any, bucket: str) -> None:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
