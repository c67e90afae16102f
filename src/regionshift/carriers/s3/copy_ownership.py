"""Whether a version that nobody recorded is our copy (docs/adr/103).

A call that was killed after S3 had copied and before the result was on record leaves versions that only S3
knows of. Nothing on a copy says who made it: it keeps its source's metadata and tags, and no answer of S3
names the source or the maker of a copy. An etag does not tell either: under SSE-KMS it is no MD5, and a
copy's is another than its source's (S3 API Reference, "Object"). So a version counts as ours when

- it lies above the version that was on record before our first write: it was written since;
- it has the size, the contents and the headers and metadata of the version that we copy;
- it is no replica: those have the status REPLICA, and the version id of their source.

This is safe in both directions. Whoever's it is, such a version is to the last byte what we would have
written, so going on from it is right. Taken back, it leaves what was there before us, and its contents are
still at the source: only an equal copy that someone made by other means since our record is lost, and can be
made again. To leave one of ours would be worse: the rollback would say that everything is back while ours
is what readers see, and going on would copy it twice. Where contents cannot be compared any more because
the source's version is gone, nothing is assumed: the item is left alone, and named.
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
    """It cannot be told any more whose a version is; the message says why."""


class CopyOwnership:
    """Tells our copies from what others wrote. Asks S3: used only where something is not on record."""

    def __init__(self, calls: Calls, comparer: ContentComparer) -> None:
        self._calls = calls
        self._comparer = comparer

    def is_copy(self, work: Work, wanted: SourceVersion, source: Spot, found: Version, target: Spot) -> bool:
        """Whether ``found``, which lies above the recorded version, is our copy of ``wanted``.

        Raises:
            UndecidedError: the source cannot be asked any more, and the listings do not tell.
            OutOfTimeError: the contents are large and have not been read to the end.
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
                f"version {found.id} may be ours, and its source cannot be asked: {error.code}"
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
            # CopyObject leaves a redirect out, so a copy of ours may lack it.
            compare_headers(ours, theirs, but="" if REDIRECT in theirs else REDIRECT)
            if not compare_checksums(ours, theirs):
                note = f"{target[1]}\n{source[2]}\n{target[2]}\nwhose"
                self._comparer.require_equal(work, note, source, target, size)
        except UnequalError:
            return False
        return True
