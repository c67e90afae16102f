"""Default encryption of a bucket."""

from __future__ import annotations

from typing import Any

from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handlers.s3.setting import BUCKET, BucketSettingHandler
from regionshift.local.provider.spelling import from_api, to_api
from regionshift.local.provider.wire import Properties

_SPELLINGS = {"sseAlgorithm": "SSEAlgorithm", "kmsMasterKeyId": "KMSMasterKeyID"}
_BY_DEFAULT = Field(
    FieldType.OBJECT,
    items={
        "sseAlgorithm": Field(required=True, allowed=("AES256", "aws:kms", "aws:kms:dsse")),
        "kmsMasterKeyId": Field(),
    },
)


class BucketEncryptionHandler(BucketSettingHandler):
    """Removing it leaves AWS's own default, SSE-S3, which reads like a setting."""

    token = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    fields = {
        "bucket": BUCKET,
        "rules": Field(
            FieldType.SET,
            required=True,
            items={
                "applyServerSideEncryptionByDefault": _BY_DEFAULT,
                "bucketKeyEnabled": Field(FieldType.FLAG, default=False),
            },
        ),
    }

    def put(self, s3: Any, inputs: Properties) -> None:
        s3.put_bucket_encryption(
            Bucket=inputs["bucket"],
            ServerSideEncryptionConfiguration={"Rules": to_api(inputs["rules"], _SPELLINGS)},
        )

    def get(self, s3: Any, bucket: str) -> Properties | None:
        found = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
        return {"rules": from_api(found["Rules"], _SPELLINGS)}

    def remove(self, s3: Any, bucket: str) -> None:
        s3.delete_bucket_encryption(Bucket=bucket)
