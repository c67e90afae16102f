"""Who owns the objects of a bucket; ``BucketOwnerEnforced`` turns ACLs off."""

from __future__ import annotations

from typing import Any

from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handlers.s3.setting import BUCKET, BucketSettingHandler
from regionshift.local.provider.wire import Properties

_CHOICES = ("BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced")


class BucketOwnershipHandler(BucketSettingHandler):
    """One rule a bucket."""

    token = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
    fields = {
        "bucket": BUCKET,
        "rule": Field(
            FieldType.OBJECT,
            required=True,
            items={"objectOwnership": Field(required=True, allowed=_CHOICES)},
        ),
    }

    def put(self, s3: Any, inputs: Properties) -> None:
        rules = [{"ObjectOwnership": inputs["rule"]["objectOwnership"]}]
        s3.put_bucket_ownership_controls(Bucket=inputs["bucket"], OwnershipControls={"Rules": rules})

    def get(self, s3: Any, bucket: str) -> Properties | None:
        rules = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
        return {"rule": {"objectOwnership": rules[0]["ObjectOwnership"]}}

    def remove(self, s3: Any, bucket: str) -> None:
        s3.delete_bucket_ownership_controls(Bucket=bucket)
