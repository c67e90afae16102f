"""Server access logs of a bucket."""

from __future__ import annotations

from typing import Any

from regionshift.local.provider.fields import Field
from regionshift.local.provider.handlers.s3.setting import BUCKET, BucketSettingHandler
from regionshift.local.provider.wire import Properties


class BucketLoggingHandler(BucketSettingHandler):
    """Where the logs go; the target bucket must admit the logging service."""

    token = "aws:s3/bucketLogging:BucketLogging"
    fields = {"bucket": BUCKET, "targetBucket": Field(required=True), "targetPrefix": Field(required=True)}

    def put(self, s3: Any, inputs: Properties) -> None:
        enabled = {"TargetBucket": inputs["targetBucket"], "TargetPrefix": inputs["targetPrefix"]}
        s3.put_bucket_logging(Bucket=inputs["bucket"], BucketLoggingStatus={"LoggingEnabled": enabled})

    def get(self, s3: Any, bucket: str) -> Properties | None:
        enabled = s3.get_bucket_logging(Bucket=bucket).get("LoggingEnabled")
        if not enabled:
            return None
        return {"targetBucket": enabled["TargetBucket"], "targetPrefix": enabled.get("TargetPrefix", "")}

    def remove(self, s3: Any, bucket: str) -> None:
        s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
