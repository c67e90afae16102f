"""Emptying a bucket of every version, delete marker and unfinished upload."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from regionshift.errors import WorkFailed


def empty(s3: Any, bucket: str) -> None:
    """Remove all that the bucket holds; pages of at most 1,000, which is DeleteObjects' limit.

    Raises:
        WorkFailed: S3 refused to remove something, as a locked object.
    """
    for versions in _pages_of_versions(s3, bucket):
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": versions, "Quiet": True})
        for error in answer.get("Errors", []):
            raise WorkFailed(f"{bucket}/{error['Key']} cannot be deleted: {error['Code']}", where=bucket)
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])


def _pages_of_versions(s3: Any, bucket: str) -> Iterator[list[dict[str, str]]]:
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if found:
            yield [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
