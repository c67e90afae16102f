"""Copy one large object in parallel parts, and continue after an interruption.

Unlike CopyObject, an upload in parts does not copy headers, metadata and tags, so they are sent again, with the type
of the checksum. The id of the upload is recorded before the first part, and S3 knows the finished parts (ListParts).
So a killed copy loses only the running parts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import unquote_plus, urlencode

from regionshift.carriers.carrier import OutOfTimeError, Work
from regionshift.carriers.s3.calls import Bucket, Calls, Pinned, parse
from regionshift.carriers.transport import AnswerLostError, S3Error

# S3 User Guide, "Amazon S3 multipart upload limits": parts of 5 MB to 5 GB, at most 10,000.
_MOST_PARTS = 10_000
_SMALLEST_PART = 5 * 1024**2
KEPT_HEADERS = (
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "cache-control",
    "expires",
    "x-amz-website-redirect-location",
)
HIDDEN = "x-amz-missing-meta"
"""The number of metadata entries that S3 does not return, because of unprintable characters (S3 User Guide, "Working
with object metadata"). CopyObject copies them; an upload in parts cannot."""

_ALGORITHMS = ("crc64nvme", "crc32c", "crc32", "sha256", "sha1")

_BEFORE = "before"  # the note of the key's uploads before ours


@dataclass(frozen=True)
class MultipartSizes:
    """When an object is copied in parts, and how: sizes in bytes, ``parallel`` parts at once.

    CopyObject accepts 5 GB, but then its copy could appear after the call has ended, and undo would not see it. A late
    part is harmless, because it belongs to a recorded upload. So each request must end within the 30 seconds that a
    call keeps at its end (``migration_worker``). 256 MiB need 9 MB/s for that, a tenth of the 85 to 90 MB/s of one
    request (S3 User Guide, "Performance design patterns"). Parts of half that size are enough up to 1.25 TB; for
    larger objects the parts grow.
    """

    threshold: int = 256 * 1024**2
    part: int = 128 * 1024**2
    parallel: int = 8

    def part_size(self, size: int) -> int:
        """Return the part size for an object of ``size`` bytes, larger when there would be too many parts."""
        return max(self.part, _SMALLEST_PART if size > self.part else 0, -(-size // _MOST_PARTS))


@dataclass(frozen=True)
class Landing:
    """The place of a copy, and its headers."""

    bucket: Bucket
    key: str
    headers: Mapping[str, str]


class MultipartCopy:
    """UploadPartCopy of whole objects. Thread-safe."""

    def __init__(self, calls: Calls, sizes: MultipartSizes) -> None:
        self._calls = calls
        self._sizes = sizes

    def takes(self, size: int) -> bool:
        """Whether an object of ``size`` bytes is copied in parts."""
        return size > self._sizes.threshold

    def copy(self, work: Work, item: str, source: Pinned, size: int, landing: Landing) -> str:
        """Copy in parts; return the id of the new version.

        Raises:
            OutOfTimeError: parts are left; the next call continues the upload.
            AnswerLostError: the copy may be complete.
        """
        name = f"{item}\n{source.version}"
        notes = work.progress.read(name)
        upload = notes.get("upload", "")
        part_size = int(notes.get("part_size", self._sizes.part_size(size)))
        if not upload:
            upload = self._begin_once(work, name, notes, source, landing)
            work.progress.note(name, {"upload": upload, "part_size": str(part_size)})
        try:
            parts = self._fill(work, source, landing, upload, spans(size, part_size))
        except S3Error as error:
            if error.code == "NoSuchUpload":
                # Completed by a call whose answer was lost, or aborted by the bucket's lifecycle.
                work.progress.note(name, {})
                raise AnswerLostError(error.code, error.status, error.message, error.where or "") from error
            # 403: also for a deleted object, when the caller may not list the bucket (S3 API Reference, "GetObject")
            if error.status in (403, 404, 412):
                self._abort(landing, upload)
                work.progress.note(name, {})
            raise
        # Completing can take minutes (S3 API Reference, "CompleteMultipartUpload").
        if not work.has_time():
            raise OutOfTimeError
        return self._complete(landing, upload, parts)

    def forget(self, work: Work, item: str, version: str, landing: Landing) -> None:
        """Abort the upload of an unfinished copy of ``version``, if there is one."""
        name = f"{item}\n{version}"
        notes = work.progress.read(name)
        upload = notes.get("upload", "")
        if not upload and _BEFORE in notes:
            # An upload may exist without a note. A new upload of ours shows our initiator, by which we find it.
            upload = self._create(landing, landing.headers)
            self._abort_lost(landing, upload, notes[_BEFORE])
        if upload:
            self._abort(landing, upload)
            work.progress.note(name, {})

    def _begin_once(
        self, work: Work, name: str, notes: Mapping[str, str], source: Pinned, landing: Landing
    ) -> str:
        """Begin an upload, and abort uploads that a killed call began but did not record.

        The uploads that exist before our first one are recorded: those are somebody else's.
        """
        others = notes.get(_BEFORE)
        if others is None:
            work.progress.note(name, {_BEFORE: json.dumps(sorted(self._uploads(landing)))})
            return self._begin(source, landing)
        upload = self._begin(source, landing)
        self._abort_lost(landing, upload, others)
        return upload

    def _abort_lost(self, landing: Landing, ours: str, others: str) -> None:
        """Abort the key's uploads by the initiator of ``ours``, except ``ours`` and ``others`` (a JSON list)."""
        found = self._uploads(landing)
        for upload, initiator in found.items():
            if upload != ours and upload not in json.loads(others) and initiator == found.get(ours):
                self._abort(landing, upload)

    def _uploads(self, landing: Landing) -> dict[str, str]:
        """Return the key's unfinished uploads: {id: initiator}."""
        found: dict[str, str] = {}
        after: list[tuple[str, str]] = []
        while True:
            query = [("encoding-type", "url"), ("prefix", landing.key), ("uploads", ""), *after]
            root = parse(self._calls.send("GET", landing.bucket, query=tuple(sorted(query))).body)
            decode = unquote_plus if root.findtext("EncodingType") == "url" else str
            for upload in root.findall("Upload"):
                if decode(upload.findtext("Key", "")) == landing.key:
                    found[upload.findtext("UploadId", "")] = upload.findtext("Initiator/ID", "")
            next_key = decode(root.findtext("NextKeyMarker", ""))
            # The key itself comes before all longer keys that begin with it.
            if root.findtext("IsTruncated") != "true" or next_key > landing.key:
                return found
            after = [("key-marker", next_key), ("upload-id-marker", root.findtext("NextUploadIdMarker", ""))]

    def _begin(self, source: Pinned, landing: Landing) -> str:
        kept = self._calls.head(source.bucket, source.key, source.version)
        if hidden := hidden_metadata(kept):
            raise S3Error(
                "HiddenMetadata",
                200,
                hidden,
                f"{source.bucket.region} s3://{source.bucket.name}/{source.key}",
            )
        again = {name: kept[name] for name in KEPT_HEADERS if name in kept}
        again |= {name: value for name, value in kept.items() if name.startswith("x-amz-meta-")}
        tags = self._calls.tags(source.bucket, source.key, source.version)
        if tags:
            again["x-amz-tagging"] = urlencode(tags)
        for algorithm in _ALGORITHMS:
            if f"x-amz-checksum-{algorithm}" in kept:
                again["x-amz-checksum-algorithm"] = algorithm.upper()
                again["x-amz-checksum-type"] = _checksum_type(algorithm)
                break
        return self._create(landing, {**again, **landing.headers})

    def _create(self, landing: Landing, headers: Mapping[str, str]) -> str:
        query = (("uploads", ""),)
        answer = self._calls.send(
            "POST", landing.bucket, landing.key, query, headers=headers, repeatable=False
        )
        return parse(answer.body).findtext("UploadId", "")

    def _fill(
        self, work: Work, source: Pinned, landing: Landing, upload: str, wanted: Sequence[tuple[int, int]]
    ) -> dict[int, Mapping[str, str]]:
        parts = self._finished(landing, upload)
        missing = [number for number in range(1, len(wanted) + 1) if number not in parts]

        def one(number: int) -> tuple[int, Mapping[str, str]] | None:
            if not work.has_time():
                return None
            first, last = wanted[number - 1]
            headers = {**source.copy_headers, "x-amz-copy-source-range": f"bytes={first}-{last}"}
            query = (("partNumber", str(number)), ("uploadId", upload))
            # Sending a part is idempotent.
            answer = self._calls.send(
                "PUT", landing.bucket, landing.key, query, headers=headers, source=source.bucket
            )
            return number, {child.tag: child.text or "" for child in parse(answer.body)}

        with ThreadPoolExecutor(self._sizes.parallel, thread_name_prefix="part") as pool:
            done = list(pool.map(one, missing))
        if None in done:
            raise OutOfTimeError
        return parts | dict(part for part in done if part is not None)

    def _finished(self, landing: Landing, upload: str) -> dict[int, Mapping[str, str]]:
        parts: dict[int, Mapping[str, str]] = {}
        marker = "0"
        while True:
            query = (("part-number-marker", marker), ("uploadId", upload))
            root = parse(self._calls.send("GET", landing.bucket, landing.key, query).body)
            for part in root.findall("Part"):
                parts[int(part.findtext("PartNumber", "0"))] = {c.tag: c.text or "" for c in part}
            if root.findtext("IsTruncated") != "true":
                return parts
            marker = root.findtext("NextPartNumberMarker", "")

    def _complete(self, landing: Landing, upload: str, parts: Mapping[int, Mapping[str, str]]) -> str:
        listed = "".join(_part_line(number, part) for number, part in sorted(parts.items()))
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        query = (("uploadId", upload),)
        headers = {"Content-Type": "application/xml"}
        answer = self._calls.send(
            "POST", landing.bucket, landing.key, query, headers=headers, body=body, repeatable=False
        )
        return answer.headers.get("x-amz-version-id", "")

    def _abort(self, landing: Landing, upload: str) -> None:
        try:
            self._calls.send("DELETE", landing.bucket, landing.key, (("uploadId", upload),))
        except S3Error as error:
            if error.code != "NoSuchUpload":
                raise


def hidden_metadata(headers: Mapping[str, str]) -> str:
    """Return why an object with these headers cannot be copied in parts; empty when it can."""
    if not (number := headers.get(HIDDEN)):
        return ""
    return (
        f"{number} entries of its metadata have characters that S3 does not return, and a copy in parts would lose"
        " them: change its metadata, or exclude it"
    )


def spans(size: int, part: int) -> list[tuple[int, int]]:
    """Return the first and last byte of each part, in order."""
    return [(first, min(first + part, size) - 1) for first in range(0, size, part)]


def _checksum_type(algorithm: str) -> str:
    """Return the type: of the whole object for CRCs, else of its parts (S3 User Guide, "Checking object integrity")."""
    return "FULL_OBJECT" if algorithm.startswith("crc") else "COMPOSITE"


def _part_line(number: int, part: Mapping[str, str]) -> str:
    etag = part["ETag"].replace('"', "&quot;")
    checksums = "".join(
        f"<{name}>{value}</{name}>" for name, value in part.items() if name.startswith("Checksum")
    )
    return f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{checksums}</Part>"
