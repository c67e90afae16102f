"""The four public access blocks of a bucket."""

from __future__ import annotations

from typing import Any

from regionshift.local.provider.fields import Field, FieldType
from regionshift.local.provider.handlers.s3.setting import BUCKET, BucketSettingHandler
from regionshift.local.provider.spelling import from_api, to_api
from regionshift.local.provider.wire import Properties

_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


class PublicAccessBlockHandler(BucketSettingHandler):
    """All four are off unless given, as in the AWS API."""

    token = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    fields = {"bucket": BUCKET, **{block: Field(FieldType.FLAG, default=False) for block in _BLOCKS}}

    def put(self, s3: Any, inputs: Properties) -> None:
        blocks = {block: inputs[block] for block in _BLOCKS}
        configuration = to_api(blocks, {})
        s3.put_public_access_block(Bucket=inputs["bucket"], PublicAccessBlockConfiguration=configuration)

    def get(self, s3: Any, bucket: str) -> Properties | None:
        found = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        return dict(from_api(found, {}))

    def remove(self, s3: Any, bucket: str) -> None:
        s3.delete_public_access_block(Bucket=bucket)
