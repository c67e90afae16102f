"""Removing what buckets hold: every version, every delete marker, every unfinished upload, whatever its key is called.

Keys are listed URL-encoded, as S3 allows keys that XML 1.0 cannot hold (Amazon S3 API Reference, ListObjectVersions,
``encoding-type``). For the same reason DeleteObjects, whose request is XML, gets only keys that arrive in it as they
are; every other key is deleted by a request of its own, in whose address it is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from regionshift.errors import WorkFailed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# S3 API Reference, DeleteObjects: up to 1,000 keys a request.
_KEYS_A_REQUEST = 1000
# Control characters that XML 1.0 cannot hold, and those that its readers may turn into others (sections 2.2, 2.11).
_NOT_FOR_XML = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")
_PASSING = frozenset({"InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout"})
_NAMED = 3


class Held(NamedTuple):
    """One version, or one delete marker."""

    key: str
    version: str


class _Failed(NamedTuple):
    held: Held
    code: str
    message: str


def empty_bucket(s3: S3Client, bucket: str) -> int:
    """Delete all that a bucket holds; gives how many versions, markers and uploads went.

    Raises:
        WorkFailed: something cannot be deleted, or is there again however often it is; the sentence names it.
        ClientError: the bucket is not there, or may not be listed.
    """
    return _remove_versions(s3, bucket) + _abort_uploads(s3, bucket)


def _remove_versions(s3: S3Client, bucket: str) -> int:
    gone: set[Held] = set()
    count = 0
    # Each listing begins anew after what the one before showed was deleted, so nothing is left out.
    while page := _held(s3.list_object_versions(Bucket=bucket, MaxKeys=_KEYS_A_REQUEST)):
        if gone.issuperset(page):
            raise WorkFailed(
                f"{_named(page)} of {bucket} stand there still after S3 said that they were deleted.",
                where=bucket,
                remedy="look what writes or keeps them there; then run the command again",
            )
        failed = _delete(s3, bucket, page)
        lasting = [each for each in failed if each.code not in _PASSING]
        _require_gone(bucket, lasting)
        if len(failed) == len(page):
            _require_gone(bucket, failed)  # S3's own trouble, and not one went in the whole round
        left = {each.held for each in failed}
        # What was deleted a page ago and is listed again is no progress; more than that need not be remembered.
        gone = {held for held in page if held not in left}
        count += len(gone)
    return count


def _held(page: Any) -> list[Held]:
    entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [Held(entry["Key"], entry["VersionId"]) for entry in entries]


def _delete(s3: S3Client, bucket: str, helds: Sequence[Held]) -> list[_Failed]:
    """Delete these, at most a page of them; gives what failed."""
    failed: list[_Failed] = []
    plain = [held for held in helds if not _NOT_FOR_XML.search(held.key)]
    if plain:
        answer = s3.delete_objects(
            Bucket=bucket,
            Delete={"Objects": [{"Key": h.key, "VersionId": h.version} for h in plain], "Quiet": True},
        )
        failed += [
            _Failed(
                Held(error.get("Key", ""), error.get("VersionId", "")),
                error.get("Code", ""),
                error.get("Message", ""),
            )
            for error in answer.get("Errors", [])
        ]
    for held in helds:
        if _NOT_FOR_XML.search(held.key):
            try:
                s3.delete_object(Bucket=bucket, Key=held.key, VersionId=held.version)
            except ClientError as error:
                told = error.response["Error"]
                if told["Code"] != "NoSuchVersion":
                    failed.append(_Failed(held, told["Code"], told.get("Message", "")))
    return failed


def _require_gone(bucket: str, failed: Sequence[_Failed]) -> None:
    """Raises WorkFailed for what could not be deleted."""
    if not failed:
        return
    first = failed[0]
    raise WorkFailed(
        f"{_named([each.held for each in failed])} of {bucket} cannot be deleted: {first.code}: {first.message}",
        where=bucket,
        # Amazon S3 User Guide, "Managing Object Lock": a locked version is refused as AccessDenied.
        remedy="a version under Object Lock goes when its retention has ended and its legal hold is off; else allow"
        " s3:DeleteObjectVersion on it; then run the command again"
        if first.code == "AccessDenied"
        else "run the command again",
    )


def _named(helds: Sequence[Held]) -> str:
    """How many, and the first few by key; a key is shown so that it can be told from others and typed."""
    keys = list(dict.fromkeys(held.key for held in helds))
    named = ", ".join(ascii(key) for key in keys[:_NAMED])
    more = f" and {len(keys) - _NAMED} more keys" if len(keys) > _NAMED else ""
    return f"{len(helds)} version{'s' if len(helds) > 1 else ''} ({named}{more})"


def _abort_uploads(s3: S3Client, bucket: str) -> int:
    """Unlike versions, botocore neither asks for uploads URL-encoded nor decodes them."""
    count = 0
    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, EncodingType="url")
    for page in pages:
        decode = unquote_plus if page.get("EncodingType") == "url" else str
        for upload in page.get("Uploads", []):
            try:
                s3.abort_multipart_upload(
                    Bucket=bucket, Key=decode(upload["Key"]), UploadId=upload["UploadId"]
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "NoSuchUpload":
                    raise
            count += 1
    return count
