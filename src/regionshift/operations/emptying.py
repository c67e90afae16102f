"""Emptying the environment's buckets before they go: every version, every marker, every unfinished upload."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.engine.engine import EngineFailed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

Ran = TypeVar("Ran")
# S3 API Reference, DeleteObjects: up to 1,000 keys a request.
_KEYS_A_REQUEST = 1000


def switch_off(clients: Clients, region: str, bucket: str) -> None:
    """No replication and no access logging any more, so that nothing fills what is being emptied."""
    s3 = clients.get("s3", region)
    try:
        s3.delete_bucket_replication(Bucket=bucket)
        s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
    except ClientError as error:
        if not _is_gone(error):
            raise


def empty(clients: Clients, region: str, bucket: str) -> int:
    """Delete everything in ``bucket``; returns how many versions, markers and uploads went."""
    s3 = clients.get("s3", region)
    try:
        return _delete_versions(s3, bucket) + _abort_uploads(s3, bucket)
    except ClientError as error:
        if _is_gone(error):
            return 0
        raise


def empty_all(clients: Clients, buckets: Iterable[tuple[str, str]]) -> int:
    """:func:`empty` for every (region, bucket); what stands elsewhere or is gone counts nothing."""
    return sum(empty(clients, region, bucket) for region, bucket in buckets)


def emptying(clients: Clients, buckets: Collection[tuple[str, str]], run: Callable[[], Ran]) -> Ran:
    """Do ``run``, which deletes ``buckets``, with them emptied first; and once more when one was filled meanwhile."""
    empty_all(clients, buckets)
    try:
        return run()
    except EngineFailed as error:
        if not buckets or not was_refilled(error):
            raise
    empty_all(clients, buckets)
    return run()


def was_refilled(error: EngineFailed) -> bool:
    """Whether the engine failed at a bucket that something filled after it was emptied."""
    return any("BucketNotEmpty" in problem.message for problem in error.record.problems)


def _delete_versions(s3: S3Client, bucket: str) -> int:
    gone = 0
    for batch in _batches(s3, bucket):
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        if errors := answer.get("Errors"):
            first = errors[0]
            raise ClientError(
                {"Error": {"Code": first.get("Code", ""), "Message": first.get("Message", "")}},
                "DeleteObjects",
            )
        gone += len(batch)
    return gone


def _batches(s3: S3Client, bucket: str) -> Iterator[list[ObjectIdentifierTypeDef]]:
    # Each page is read after the one before was deleted, so a listing from the start is always right.
    while True:
        page = s3.list_object_versions(Bucket=bucket, MaxKeys=_KEYS_A_REQUEST)
        entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if not entries:
            return
        yield [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]


def _abort_uploads(s3: S3Client, bucket: str) -> int:
    count = 0
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
            count += 1
    return count


def _is_gone(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "NoSuchBucket"
