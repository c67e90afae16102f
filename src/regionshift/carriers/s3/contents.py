"""Compare two versions: headers and metadata, stored checksums, and contents.

An etag is the MD5 of the contents only without KMS and without parts (S3 API Reference, "Object"). Only then it
proves the contents.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from regionshift.carriers.carrier import OutOfTimeError, Work
from regionshift.carriers.s3.calls import Bucket, Calls
from regionshift.carriers.s3.multipart import HIDDEN, KEPT_HEADERS

Spot = tuple[Bucket, str, str]
"""One version: its bucket, its whole key, its id."""

REDIRECT = "x-amz-website-redirect-location"

# A worker holds one range of one side at a time, so the ranges of all objects together take 96 MiB.
READ_STEP = 8 * 1024**2
_READ_AT_ONCE = 12
_NOTED_EVERY = 64  # steps
_ALGORITHMS = ("crc64nvme", "crc32c", "crc32", "sha256", "sha1")


class UnequalError(Exception):
    """Two versions differ; the message says where."""


class RedirectLostError(UnequalError):
    """The copy differs only because it has no website redirect: CopyObject does not copy it."""


class ContentComparer:
    """Compares large contents, several ranges at once, in order of the bytes. Thread-safe."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._pool = ThreadPoolExecutor(_READ_AT_ONCE, thread_name_prefix="read")

    def require_equal(self, work: Work, note: str, source: Spot, target: Spot, size: int) -> None:
        """Read and compare both versions. The progress is recorded under ``note``; the next call continues there.

        Raises:
            UnequalError: they differ.
            OutOfTimeError: time ran out; the next call continues.
        """
        done = int(work.progress.read(note).get("equal_bytes", "0"))
        starts = iter(range(done, size, READ_STEP))
        ahead: deque[tuple[int, Future[bool]]] = deque()
        read = 0
        try:
            while True:
                while len(ahead) < _READ_AT_ONCE and (first := next(starts, None)) is not None:
                    last = min(first + READ_STEP, size) - 1
                    ahead.append((first, self._pool.submit(self._equal, source, target, (first, last))))
                if not ahead:
                    return
                first, equal = ahead[0]
                if not work.has_time():
                    work.progress.note(note, {"equal_bytes": str(first)})
                    raise OutOfTimeError
                if not equal.result():
                    raise UnequalError(f"contents differ behind byte {first}")
                ahead.popleft()
                read += 1
                if read % _NOTED_EVERY == 0:
                    work.progress.note(note, {"equal_bytes": str(min(first + READ_STEP, size))})
        finally:
            # Nothing of a call may run after its answer.
            wait([future for _, future in ahead if not future.cancel()])

    def _equal(self, source: Spot, target: Spot, span: tuple[int, int]) -> bool:
        return self._digest(source, span) == self._digest(target, span)

    def _digest(self, spot: Spot, span: tuple[int, int]) -> bytes:
        return hashlib.sha256(self._calls.get(*spot, span=span).body).digest()


def compare_checksums(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Return which stored checksum proves equal contents; empty when none does.

    Raises:
        UnequalError: a checksum of the whole object differs.
    """
    for algorithm in _ALGORITHMS:
        name = f"x-amz-checksum-{algorithm}"
        ours, theirs = one.get(name), other.get(name)
        if ours and theirs:
            if ours == theirs:
                return f"stored {algorithm}"
            if "-" not in ours + theirs and _whole(one) and _whole(other):
                raise UnequalError(f"stored {algorithm} checksums differ")
    if _etag_is_md5(one) and _etag_is_md5(other):
        if one["etag"] != other["etag"]:
            raise UnequalError("contents differ (MD5)")
        return "MD5 as etag"
    return ""


def compare_headers(one: Mapping[str, str], other: Mapping[str, str], *, but: str = "") -> None:
    """Compare the headers and metadata that a copy keeps, except ``but``.

    Raises:
        UnequalError: one differs.
    """
    for name in KEPT_HEADERS:
        if name != but and one.get(name) != other.get(name):
            raise UnequalError(f"{name} differs")
    if _metadata(one) != _metadata(other):
        raise UnequalError("metadata differ")


def _whole(headers: Mapping[str, str]) -> bool:
    return headers.get("x-amz-checksum-type", "FULL_OBJECT") == "FULL_OBJECT"


def _etag_is_md5(headers: Mapping[str, str]) -> bool:
    encryption = headers.get("x-amz-server-side-encryption", "AES256")
    customer = "x-amz-server-side-encryption-customer-algorithm" in headers
    return encryption == "AES256" and not customer and "-" not in headers.get("etag", "-")


def _metadata(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in headers.items() if name.startswith("x-amz-meta-") or name == HIDDEN
    }
