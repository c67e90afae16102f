"""Empty the environment's buckets before they are deleted: versions, delete markers and unfinished uploads.

Each bucket is first checked to be the environment's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.aws.errors import told_plainly
from regionshift.carriers.s3.undoing import empty_bucket
from regionshift.engine.engine import EngineFailed
from regionshift.operations.environment import Environment
from regionshift.operations.ownership import require_our_buckets

Ran = TypeVar("Ran")


def switch_off(environment: Environment, region: str, bucket: str) -> None:
    """Switch off replication and access logging, so that nothing fills the bucket again.

    Raises:
        Refused: the bucket is not the environment's.
    """
    require_our_buckets(environment, [(region, bucket)])
    s3 = environment.clients.get("s3", region)
    with told_plainly(region, bucket):
        try:
            s3.delete_bucket_replication(Bucket=bucket)
            s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
        except ClientError as error:
            if not _is_gone(error):
                raise


def _empty(clients: Clients, region: str, bucket: str) -> int:
    """Delete everything in ``bucket``; returns how many versions, markers and uploads went. As `empty_bucket`."""
    with told_plainly(region, bucket):
        try:
            return empty_bucket(clients.get("s3", region), bucket)
        except ClientError as error:
            if _is_gone(error):
                return 0
            raise


def empty_all(environment: Environment, buckets: Collection[tuple[str, str]]) -> int:
    """Delete everything in every (region, bucket); returns how many versions, markers and uploads went.

    A missing bucket counts 0.

    Raises:
        Refused: one of the buckets is not the environment's. Then none is touched.
    """
    require_our_buckets(environment, buckets)
    return sum(_empty(environment.clients, region, bucket) for region, bucket in buckets)


def emptying(environment: Environment, buckets: Collection[tuple[str, str]], run: Callable[[], Ran]) -> Ran:
    """Empty ``buckets`` and do ``run``, which deletes them; again when one was filled meanwhile.

    Raises:
        Refused: one of the buckets is not the environment's. Then nothing is done.
    """
    empty_all(environment, buckets)
    try:
        return run()
    except EngineFailed as error:
        if not buckets or not was_refilled(error):
            raise
    empty_all(environment, buckets)
    return run()


def was_refilled(error: EngineFailed) -> bool:
    """Whether the engine failed at a bucket that something filled after it was emptied."""
    return any("BucketNotEmpty" in problem.message for problem in error.record.problems)


MOST_COUNTED = 10_000


def count_held(clients: Clients, region: str, bucket: str, most: int = MOST_COUNTED) -> int:
    """How many versions and delete markers a bucket holds, counted up to ``most``; 0 when it is gone."""
    pages = clients.get("s3", region).get_paginator("list_object_versions")
    count = 0
    try:
        for page in pages.paginate(Bucket=bucket):
            count += len(page.get("Versions", ())) + len(page.get("DeleteMarkers", ()))
            if count >= most:
                return most
    except ClientError as error:
        if not _is_gone(error):
            raise
    return count


def _is_gone(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "NoSuchBucket"
