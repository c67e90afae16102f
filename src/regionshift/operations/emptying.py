"""Emptying the environment's buckets before they go: every version, every marker, every unfinished upload."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.carriers.s3.removing import empty_bucket
from regionshift.engine.engine import EngineFailed

Ran = TypeVar("Ran")


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
    """Delete everything in ``bucket``; returns how many versions, markers and uploads went. As `empty_bucket`."""
    try:
        return empty_bucket(clients.get("s3", region), bucket)
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


def _is_gone(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "NoSuchBucket"
