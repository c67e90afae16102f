"""An object whose content the program gives."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import ClientError

from regionshift.carriers.s3.removing import remove_key
from regionshift.local.provider.assets import content_of
from regionshift.local.provider.failures import is_gone
from regionshift.local.provider.fields import Field, Shape
from regionshift.local.provider.handler import Change, Context, Handler
from regionshift.local.provider.tags import from_list, to_list
from regionshift.local.provider.wire import Properties

_HEADERS = {
    "cacheControl": "CacheControl",
    "contentDisposition": "ContentDisposition",
    "contentEncoding": "ContentEncoding",
    "contentLanguage": "ContentLanguage",
    "contentType": "ContentType",
    "kmsKeyId": "SSEKMSKeyId",
    "bucketKeyEnabled": "BucketKeyEnabled",
    "metadata": "Metadata",
    "serverSideEncryption": "ServerSideEncryption",
    "storageClass": "StorageClass",
}


class Object(Handler):
    """Content and headers change in place, as a new version. The id is ``bucket/key``."""

    token = "aws:s3/bucketObjectv2:BucketObjectv2"
    unique_by = ("bucket", "key")
    taggable = True
    fields = {
        "bucket": Field(required=True, replaces=True),
        "key": Field(required=True, replaces=True),
        "source": Field(Shape.ASSET, opaque=True),
        "content": Field(opaque=True, secret=True),
        "contentBase64": Field(opaque=True, secret=True),
        "sourceHash": Field(opaque=True),
        "forceDestroy": Field(Shape.FLAG, default=False, opaque=True),
        "etag": Field(computed=True),
        "cacheControl": Field(),
        "contentDisposition": Field(),
        "contentEncoding": Field(),
        "contentLanguage": Field(),
        "contentType": Field(computed=True),
        "kmsKeyId": Field(computed=True),
        "bucketKeyEnabled": Field(Shape.FLAG, computed=True),
        "metadata": Field(Shape.MAP),
        "serverSideEncryption": Field(computed=True),
        "storageClass": Field(computed=True),
    }
    outputs = ("arn", "etag")
    volatile = ("etag", "versionId")

    def find(self, context: Context, inputs: Properties) -> str | None:
        s3, bucket, key = context.client("s3"), inputs["bucket"], inputs["key"]
        try:
            return f"{bucket}/{key}" if context.owns(_tags(s3, bucket, key)) else None
        except ClientError as error:
            if is_gone(error):
                return None
            raise

    def create(self, context: Context, inputs: Properties) -> str:
        tags = context.tags(inputs)
        headers = {theirs: inputs[ours] for ours, theirs in _HEADERS.items() if inputs.get(ours) is not None}
        context.client("s3").put_object(
            Bucket=inputs["bucket"], Key=inputs["key"], Body=_body(inputs), Tagging=_query(tags), **headers
        )
        return f"{inputs['bucket']}/{inputs['key']}"

    def read(self, context: Context, identity: str) -> Properties | None:
        s3 = context.client("s3")
        bucket, _, key = identity.partition("/")
        head = s3.head_object(Bucket=bucket, Key=key)
        return {
            "bucket": bucket,
            "key": key,
            "arn": f"arn:aws:s3:::{identity}",
            "etag": head["ETag"].strip('"'),
            "versionId": head.get("VersionId"),
            **{ours: head.get(theirs) for ours, theirs in _HEADERS.items()},
            "storageClass": head.get("StorageClass", "STANDARD"),  # S3 leaves the standard class out
            "tags": _tags(s3, bucket, key),
        }

    def update(self, context: Context, identity: str, change: Change) -> None:
        self.create(context, change.news)

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        """Every version of it, as the ordinary plugin does."""
        s3 = context.client("s3")
        bucket, _, key = identity.partition("/")
        remove_key(s3, bucket, key)

    def tag(self, context: Context, identity: str, tags: dict[str, str]) -> None:
        bucket, _, key = identity.partition("/")
        context.client("s3").put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": to_list(tags)})


def _tags(s3: Any, bucket: str, key: str) -> dict[str, str]:
    return from_list(s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"])


def _query(tags: dict[str, str]) -> str:
    return urlencode(tags)


def _body(inputs: Properties) -> bytes:
    if inputs.get("source") is not None:
        return content_of(inputs["source"])
    if inputs.get("contentBase64") is not None:
        return base64.b64decode(inputs["contentBase64"])
    return str(inputs.get("content", "")).encode()
