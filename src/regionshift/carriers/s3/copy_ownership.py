"""Decide whether an unrecorded version is our copy (docs/adr/103).

A call can be killed after S3 has copied an object and before the result is recorded. Nothing on the copy shows who
made it: it has its source's metadata and tags, and S3 names neither the source nor the writer of a copy. The etag
does not help either: under SSE-KMS it is not an MD5, and differs from the source's (S3 API Reference, "Object"). So a
version counts as ours when

- it is newer than the version that was recorded before our first write;
- it has the size, contents, headers and metadata of the version that we copy;
- it is not a replica: replicas have the status REPLICA, and the version id of their source.

This is safe. Such a version has the bytes that we would have written, so a migration can continue from it. When undo
deletes it, its contents are still at the source; only an equal copy that somebody else made is lost, and can be
made again. To keep a version of ours would be worse: the rollback would report success while readers still see our
copy, and a migration would copy it twice. When the source's version was deleted, so that contents cannot be compared,
the item is not changed and is reported as a conflict.
"""

from __future__ import annotations

from collections.abc import Mapping

from regionshift.carriers.carrier import SourceVersion, Work
from regionshift.carriers.s3.calls import NULL, Calls, Version
from regionshift.carriers.s3.contents import (
    REDIRECT,
    ContentComparer,
    Spot,
    UnequalError,
    compare_checksums,
    compare_headers,
)
from regionshift.carriers.transport import S3Error


class UndecidedError(Exception):
    """It is unclear whether a version is ours; the message says why."""


class CopyOwnership:
    """Distinguishes our copies from versions of others. It asks S3, so it is used only for unrecorded versions."""

    def __init__(self, calls: Calls, comparer: ContentComparer) -> None:
        self._calls = calls
        self._comparer = comparer

    def is_copy(self, work: Work, wanted: SourceVersion, source: Spot, found: Version, target: Spot) -> bool:
        """Whether ``found``, which is newer than the recorded version, is our copy of ``wanted``.

        Raises:
            UndecidedError: the source's version cannot be read any more, and the listings do not show it.
            OutOfTimeError: time ran out while large contents were read.
        """
        if found.marker or wanted.marker:
            return found.marker == wanted.marker
        if found.size != wanted.size or found.id == wanted.id != NULL:
            return False
        theirs = self._calls.head(*target)
        if theirs.get("x-amz-replication-status") == "REPLICA":
            return False
        try:
            ours = self._calls.head(*source)
        except S3Error as error:
            if found.etag == wanted.etag and "-" not in found.etag:
                return True
            raise UndecidedError(
                f"version {found.id} may be ours, and its source cannot be read: {error.code}"
            ) from error
        return self._equal(work, source, target, wanted.size, (ours, theirs))

    def _equal(
        self,
        work: Work,
        source: Spot,
        target: Spot,
        size: int,
        headers: tuple[Mapping[str, str], Mapping[str, str]],
    ) -> bool:
        ours, theirs = headers
        try:
            # CopyObject does not copy a redirect, so our copy may have none.
            compare_headers(ours, theirs, but="" if REDIRECT in theirs else REDIRECT)
            if not compare_checksums(ours, theirs):
                note = f"{target[1]}\n{source[2]}\n{target[2]}\nwhose"
                self._comparer.require_equal(work, note, source, target, size)
        except UnequalError:
            return False
        return True
