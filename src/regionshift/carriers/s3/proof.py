"""Prove that what was written is what was planned.

An etag is the MD5 of the contents only without KMS and without parts (S3 API Reference, "Object"), so it
proves contents only then; otherwise a checksum that S3 stored on both sides does, else both are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor

from regionshift.carriers.carrier import Item, Level, Proof, SourceVersion, Unfinished, Work, Written
from regionshift.carriers.s3.calls import Bucket, Calls
from regionshift.carriers.s3.copying import bucket_of, target_stacks
from regionshift.carriers.s3.multipart import KEPT_HEADERS, OutOfTimeError
from regionshift.carriers.s3.pages import Version
from regionshift.carriers.transport import S3Error

# One GET tells contents, headers and number of tags; above this size three smaller requests move less.
_READ_WHOLE = 1024**2
_STEP = 8 * 1024**2
_NOTED_EVERY = 64  # steps
Spot = tuple[Bucket, str, str]
"""One version: its bucket, its whole key, its id."""
_ALGORITHMS = ("crc64nvme", "crc32c", "crc32", "sha256", "sha1")


class Prover:
    """Proves the items of one batch."""

    def __init__(self, calls: Calls, pool: Executor) -> None:
        self._calls = calls
        self._pool = pool

    def verify(
        self, work: Work, written: Mapping[str, Written], level: Level
    ) -> Iterator[Proof | Unfinished]:
        """One answer for each item of ``work`` that is in ``written``."""
        there = target_stacks(self._calls, work)
        items = [item for item in work.items if item.key in written]
        pinned = {item.key: _pinned(item, written[item.key], there[item.key], level) for item in items}
        if level is Level.PINNED:
            yield from pinned.values()
            return
        contents = [
            self._pool.submit(self._full, work, item, written[item.key], pinned[item.key]) for item in items
        ]
        for content in contents:
            yield content.result()

    def difference(self, source: Spot, target: Spot) -> str:
        """In what two versions differ by headers, metadata, tags or stored checksums; empty: in nothing seen.

        Contents are not read: where neither side has a checksum that tells, nothing is said about them.
        """
        try:
            one, other = self._calls.head(*source), self._calls.head(*target)
            _compare_headers(one, other)
            compare_checksums(one, other)
            if self._calls.tags(*source) != self._calls.tags(*target):
                return "tags differ"
        except UnequalError as problem:
            return str(problem)
        except S3Error as error:
            if error.status == 404:
                return "one side is no longer there"
            raise
        return ""

    def _full(self, work: Work, item: Item, written: Written, pinned: Proof) -> Proof | Unfinished:
        if not pinned.proven:
            return pinned
        evidence: set[str] = set()
        try:
            for version, made in zip(item.versions, written.versions, strict=True):
                if version.marker:
                    continue
                if not work.has_time():
                    return Unfinished(item.key)
                evidence.add(_Pair(self._calls, work, item, version, made).prove())
        except UnequalError as problem:
            return Proof(item.key, Level.FULL, False, reason=str(problem))
        except OutOfTimeError:
            return Unfinished(item.key)
        except S3Error as error:
            return Proof(item.key, Level.FULL, False, reason=error.message)
        return Proof(item.key, Level.FULL, True, ", ".join(sorted(evidence)) or "delete marker")


class UnequalError(Exception):
    """Source and target differ; the message says in what."""


def _pinned(item: Item, written: Written, there: list[Version], level: Level) -> Proof:
    ids = {version.id: version for version in there}
    if not there or there[0].id != written.versions[-1]:
        return Proof(item.key, level, False, reason="what was written is not the current version")
    for version, made in zip(item.versions, written.versions, strict=True):
        if made not in ids:
            return Proof(item.key, level, False, reason=f"version {made} is not listed")
        if ids[made].size != version.size or ids[made].marker != version.marker:
            return Proof(item.key, level, False, reason=f"version {made} has another size than its source")
    return Proof(item.key, level, True, "version and etag, listing")


class _Pair:
    """One version on both sides."""

    def __init__(self, calls: Calls, work: Work, item: Item, version: SourceVersion, made: str) -> None:
        entry = work.entry
        self._calls = calls
        self._work = work
        self._version = version
        self._note = f"{item.key}\n{version.id}\nproof"
        self._source = (bucket_of(entry, "source"), entry.source.prefix + item.key, version.id)
        self._target = (bucket_of(entry, "target"), entry.target.prefix + item.key, made)

    def prove(self) -> str:
        """By what the two are proven equal.

        Raises:
            UnequalError: they are not.
            OutOfTimeError: the reading will go on with the next call.
        """
        if self._version.size <= _READ_WHOLE:
            return self._read_whole()
        one, other = self._calls.head(*self._source), self._calls.head(*self._target)
        _compare_headers(one, other)
        self._compare_tags()
        return compare_checksums(one, other) or self._read_in_steps()

    def _read_whole(self) -> str:
        one, other = self._calls.get(*self._source), self._calls.get(*self._target)
        if one.body != other.body:
            raise UnequalError("contents differ")
        _compare_headers(one.headers, other.headers)
        if "x-amz-tagging-count" in one.headers or "x-amz-tagging-count" in other.headers:
            self._compare_tags()
        return "contents"

    def _compare_tags(self) -> None:
        if self._calls.tags(*self._source) != self._calls.tags(*self._target):
            raise UnequalError("tags differ")

    def _read_in_steps(self) -> str:
        done = int(self._work.progress.read(self._note).get("equal_bytes", "0"))
        for number, first in enumerate(range(done, self._version.size, _STEP), start=1):
            if not self._work.has_time():
                self._work.progress.note(self._note, {"equal_bytes": str(first)})
                raise OutOfTimeError
            if number % _NOTED_EVERY == 0:
                self._work.progress.note(self._note, {"equal_bytes": str(first)})
            last = min(first + _STEP, self._version.size) - 1
            if self._digest(self._source, first, last) != self._digest(self._target, first, last):
                raise UnequalError(f"contents differ between bytes {first} and {last}")
        return "streamed hash"

    def _digest(self, place: Spot, first: int, last: int) -> bytes:
        return hashlib.sha256(self._calls.get(*place, span=(first, last)).body).digest()


def compare_checksums(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Which stored checksum proves equal contents; empty when none of them can tell.

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


def _whole(headers: Mapping[str, str]) -> bool:
    return headers.get("x-amz-checksum-type", "FULL_OBJECT") == "FULL_OBJECT"


def _etag_is_md5(headers: Mapping[str, str]) -> bool:
    encryption = headers.get("x-amz-server-side-encryption", "AES256")
    customer = "x-amz-server-side-encryption-customer-algorithm" in headers
    return encryption == "AES256" and not customer and "-" not in headers.get("etag", "-")


def _compare_headers(one: Mapping[str, str], other: Mapping[str, str]) -> None:
    for name in KEPT_HEADERS:
        if one.get(name) != other.get(name):
            raise UnequalError(f"{name} differs")
    if _metadata(one) != _metadata(other):
        raise UnequalError("metadata differ")


def _metadata(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("x-amz-meta-")}
