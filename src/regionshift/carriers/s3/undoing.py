"""Undo the writes of one batch, and empty a bucket.

Undo deletes the versions that the migration wrote, so that the earlier ones are current again. The deletion of a
version is not replicated (S3 User Guide, "What does Amazon S3 replicate?"). So in a bucket that replicates to others,
undo writes the earlier state as a new version instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from regionshift.carriers.carrier import (
    WRITTEN_SINCE,
    Before,
    Conflict,
    Entry,
    Item,
    OutOfTimeError,
    SourceVersion,
    Undone,
    UnfinishedItem,
    VersionIdentity,
    Work,
)
from regionshift.carriers.s3.calls import Calls, Pinned, Version
from regionshift.carriers.s3.copy_ownership import CopyOwnership, UndecidedError
from regionshift.carriers.s3.copying import bucket_of, is_before, placement, redirect_of, target_stacks
from regionshift.carriers.s3.listing import one_stack
from regionshift.carriers.s3.multipart import Landing, MultipartCopy
from regionshift.carriers.side_by_side import side_by_side
from regionshift.carriers.transport import AnswerLostError, S3Error
from regionshift.errors import WorkFailed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# S3 API Reference, DeleteObjects: up to 1,000 keys a request.
_KEYS_A_REQUEST = 1000
# Characters that XML 1.0 does not allow, and those that XML readers may change (sections 2.2, 2.11).
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
    """Delete everything in a bucket; return the number of deleted versions, markers and uploads.

    Raises:
        WorkFailed: something cannot be deleted, or appears again after each deletion.
        ClientError: the bucket does not exist, or no permission to list it.
    """
    return _remove_versions(s3, bucket) + _abort_uploads(s3, bucket)


def _remove_versions(s3: S3Client, bucket: str) -> int:
    gone: set[Held] = set()
    count = 0
    # Each page is deleted before the bucket is listed again from its beginning, so nothing is left out.
    while page := _first_held(s3, bucket):
        if gone.issuperset(page):
            raise WorkFailed(
                f"{_named(page)} of {bucket} are still there although S3 reported them deleted.",
                where=bucket,
                remedy="find out what writes or keeps them; then run the command again",
                error_id="RS-ENVIRONMENT-007",
            )
        failed = _delete(s3, bucket, page)
        lasting = [each for each in failed if each.code not in _PASSING]
        _require_gone(bucket, lasting)
        if len(failed) == len(page):
            _require_gone(bucket, failed)  # transient errors, but for the whole page
        left = {each.held for each in failed}
        # Versions that are listed again after their deletion are no progress.
        gone = {held for held in page if held not in left}
        count += len(gone)
    return count


def _first_held(s3: S3Client, bucket: str) -> list[Held]:
    """Return the first versions and markers of a bucket, at most one page; none when it is empty.

    An empty page need not be the last (S3 API Reference, "ListObjectVersions": "might contain fewer keys").
    """
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": _KEYS_A_REQUEST}
    )
    return next((found for page in pages if (found := _held(page))), [])


def _held(page: Any) -> list[Held]:
    entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [Held(entry["Key"], entry["VersionId"]) for entry in entries]


def _delete(s3: S3Client, bucket: str, helds: Sequence[Held]) -> list[_Failed]:
    """Delete at most a page of versions; return those that failed."""
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
        remedy="allow s3:DeleteObjectVersion on it; under Object Lock, first wait for the end of its retention and"
        " remove its legal hold; then run the command again"
        if first.code == "AccessDenied"
        else "run the command again",
        error_id="RS-ENVIRONMENT-007",
    )


def _named(helds: Sequence[Held]) -> str:
    """Return the number, and the first few keys, escaped so that they can be typed."""
    keys = list(dict.fromkeys(held.key for held in helds))
    named = ", ".join(ascii(key) for key in keys[:_NAMED])
    more = f" and {len(keys) - _NAMED} more keys" if len(keys) > _NAMED else ""
    return f"{len(helds)} version{'s' if len(helds) > 1 else ''} ({named}{more})"


def _abort_uploads(s3: S3Client, bucket: str) -> int:
    """Abort all uploads. Unlike for versions, botocore neither requests nor decodes URL encoding here."""
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


class Undoer:
    """Undoes the items of one batch."""

    def __init__(
        self, calls: Calls, pool: Executor, multipart: MultipartCopy, ownership: CopyOwnership
    ) -> None:
        self._calls = calls
        self._pool = pool
        self._multipart = multipart
        self._ownership = ownership

    def undo(
        self,
        work: Work,
        before: Mapping[str, Before],
        written: Mapping[str, tuple[str, ...]],
        *,
        forward: bool,
    ) -> Iterator[Undone | Conflict | UnfinishedItem]:
        """Yield an answer for each item in ``written``. First checks that the earlier versions exist."""
        self._forget_uploads(work)
        there = target_stacks(self._calls, work)
        ours: dict[str, tuple[str, ...]] = {}
        for item in work.items:
            if item.key in written:
                found = self._with_repeats(work, item, before[item.key], written[item.key], there[item.key])
                if isinstance(found, tuple):
                    ours[item.key] = found
                else:
                    yield found
        if forward:

            def one(key: str) -> Undone | Conflict | UnfinishedItem:
                return self._write_forward(work, key, before[key], ours[key], there[key])

            yield from side_by_side(self._pool, one, ours)
            return
        yield from self._delete(work.entry, before, ours, there, list(ours))

    def _with_repeats(
        self, work: Work, item: Item, before: Before, written: tuple[str, ...], there: list[Version]
    ) -> tuple[str, ...] | Conflict | UnfinishedItem:
        """Return ``written``, preceded by copies of ours that a repeated request wrote.

        S3 is asked only when there are versions between the recorded one and ours.
        """
        ids = [version.id for version in there]
        newest = next((place for place, version in enumerate(ids) if version in written), None)
        end = next((place for place, version in enumerate(there) if is_before(version, before)), None)
        if before.version is None:
            end = len(ids)
        if newest is None or end is None:
            return written
        between = [each for each in there[newest:end] if each.id not in written and not each.marker]
        try:
            repeats = [each.id for each in reversed(between) if self._is_ours(work, item, each)]
        except UndecidedError as problem:
            return Conflict(item.key, str(problem))
        except OutOfTimeError:
            return UnfinishedItem(item.key)
        return (*repeats, *written)

    def _is_ours(self, work: Work, item: Item, found: Version) -> bool:
        source, target = bucket_of(work.entry, "source"), bucket_of(work.entry, "target")
        source_key, key = (place.prefix + item.key for place in (work.entry.source, work.entry.target))
        return any(
            self._ownership.is_copy(
                work, wanted, (source, source_key, wanted.id), found, (target, key, found.id)
            )
            for wanted in item.versions
            if not wanted.marker
        )

    def _delete(
        self,
        entry: Entry,
        before: Mapping[str, Before],
        written: Mapping[str, tuple[str, ...]],
        there: Mapping[str, list[Version]],
        keys: list[str],
    ) -> Iterator[Undone | Conflict]:
        going: list[tuple[str, str]] = []
        answers: dict[str, Undone | Conflict] = {}
        for key in keys:
            present = [version.id for version in there[key]]
            ours = [version for version in written[key] if version in present]
            problem = _problem(before[key], written[key], there[key]) if ours else ""
            if problem:
                answers[key] = Conflict(key, problem)
                continue
            # Newest first, so that an interruption never leaves one of our older versions as the current one.
            going.extend((entry.target.prefix + key, version) for version in reversed(ours))
            answers[key] = Undone(key, "deleted" if ours else "untouched")
        failed = self._calls.delete_versions(bucket_of(entry, "target"), going) if going else {}
        for full_key, reason in failed.items():
            key = full_key[len(entry.target.prefix) :]
            answers[key] = Conflict(key, f"the version could not be deleted: {reason}")
        yield from answers.values()

    def _forget_uploads(self, work: Work) -> None:
        target = bucket_of(work.entry, "target")
        for item in work.items:
            for version in item.versions:
                if self._multipart.takes(version.size):
                    landing = Landing(target, work.entry.target.prefix + item.key, {})
                    self._multipart.forget(work, item.key, version.id, landing)

    def _write_forward(
        self, work: Work, key: str, before: Before, written: tuple[str, ...], there: list[Version]
    ) -> Undone | Conflict | UnfinishedItem:
        present = [version.id for version in there]
        ours = [version for version in written if version in present]
        if not ours:
            return Undone(key, "untouched")
        earlier = _below(there, written)
        try:
            if there[0].id not in written:
                # An interrupted undo may have written the earlier state already.
                if not self._brings_back(work, key, there[0], earlier):
                    return Conflict(key, WRITTEN_SINCE)
                return Undone(key, "forward", there[0].id)
            if problem := _problem(before, written, there):
                return Conflict(key, problem)
            if not work.has_time():
                return UnfinishedItem(key)
            return Undone(key, "forward", self._restore(work, key, earlier))
        except OutOfTimeError:
            return UnfinishedItem(key)
        except UndecidedError as problem:
            return Conflict(key, str(problem))
        except S3Error as error:
            return Conflict(key, f"the earlier state could not be written: {error.message}")

    def _restore(self, work: Work, key: str, earlier: Version | None) -> str:
        """Write the earlier state as a new version; return the version or marker."""
        target, full_key = bucket_of(work.entry, "target"), work.entry.target.prefix + key
        if earlier is None or earlier.marker:
            return self._calls.delete(target, full_key)
        version = _as_source(earlier)
        source = Pinned(target, full_key, earlier.id, earlier.etag)
        written = work.entry
        # With the migration's KMS key, for which it has rights.
        plain = Entry(written.kind, written.source, written.target, kms_key=written.kms_key)
        headers = placement(plain, version)
        in_parts = self._multipart.takes(version.size)
        if not in_parts:
            headers |= redirect_of(self._calls, source)
        try:
            if in_parts:
                return self._multipart.copy(
                    work, f"undo\n{key}", source, version.size, Landing(target, full_key, headers)
                )
            return self._calls.copy(source, target, full_key, headers)
        except AnswerLostError:
            newest = one_stack(self._calls, target, full_key)
            if newest and self._brings_back(work, key, newest[0], earlier):
                return newest[0].id
            raise

    def _brings_back(self, work: Work, key: str, found: Version, earlier: Version | None) -> bool:
        """Whether ``found``, which is newer than ours, has the earlier state."""
        if earlier is None or earlier.marker or found.marker:
            return found.marker and (earlier is None or earlier.marker)
        if found.id == earlier.id:
            return False
        target, full_key = bucket_of(work.entry, "target"), work.entry.target.prefix + key
        spots = (target, full_key, earlier.id), (target, full_key, found.id)
        return self._ownership.is_copy(work, _as_source(earlier), spots[0], found, spots[1])


def _problem(before: Before, written: tuple[str, ...], there: list[Version]) -> str:
    """Return why the versions of one item cannot be deleted; empty when they can."""
    if there[0].id not in written:
        return WRITTEN_SINCE
    if before.version is not None and not any(is_before(version, before) for version in there):
        earlier = VersionIdentity.read(before.version).id
        return f"the earlier version {earlier} was deleted; without ours the key would be lost"
    return ""


def _below(there: list[Version], written: tuple[str, ...]) -> Version | None:
    """Return the version that was current before the migration: the newest one below the migration's oldest."""
    under = False
    for version in there:
        if version.id in written:
            under = True
        elif under:
            return version
    return None


def _as_source(version: Version) -> SourceVersion:
    return SourceVersion(version.id, version.etag, version.size, storage_class=version.storage_class)
