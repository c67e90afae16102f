"""Prove that copies equal their sources.

An etag is the MD5 of the contents only without KMS and without parts (S3 API Reference, "Object"), and only then
proves them. Otherwise equal checksums that S3 stored on both sides prove them, or both sides are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor

from regionshift.carriers.carrier import (
    Item,
    Level,
    OutOfTimeError,
    Proof,
    SourceVersion,
    UnfinishedItem,
    Work,
    WriteAgain,
    Written,
)
from regionshift.carriers.s3.calls import Calls, Version, is_archived
from regionshift.carriers.s3.contents import (
    REDIRECT,
    ContentComparer,
    RedirectLostError,
    Spot,
    UnequalError,
    compare_checksums,
    compare_headers,
)
from regionshift.carriers.s3.copying import bucket_of, target_stacks
from regionshift.carriers.side_by_side import side_by_side
from regionshift.carriers.transport import S3Error

# Up to this size, one GET of contents, headers and number of tags is cheaper than three smaller requests.
READ_WHOLE = 1024**2


class Prover:
    """Proves the items of one batch."""

    def __init__(self, calls: Calls, pool: Executor, comparer: ContentComparer) -> None:
        self._calls = calls
        self._pool = pool
        self._comparer = comparer

    def verify(
        self, work: Work, written: Mapping[str, Written], level: Level
    ) -> Iterator[Proof | WriteAgain | UnfinishedItem]:
        """Yield an answer for each item of ``work`` that is in ``written``."""
        there = target_stacks(self._calls, work)
        items = [item for item in work.items if item.key in written]
        pinned = {item.key: _pinned(item, written[item.key], there[item.key], level) for item in items}
        if level is Level.PINNED:
            yield from pinned.values()
            return

        def one(item: Item) -> Proof | WriteAgain | UnfinishedItem:
            return self._full(work, item, written[item.key], pinned[item.key])

        yield from side_by_side(self._pool, one, items)

    def difference(self, source: Spot, target: Spot) -> str:
        """Return how two versions differ by headers, metadata, tags or stored checksums; empty when they do not.

        Contents are not read. Without comparable checksums they count as equal.
        """
        try:
            one, other = self._calls.head(*source), self._calls.head(*target)
            compare_headers(one, other)
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

    def _full(
        self, work: Work, item: Item, written: Written, pinned: Proof
    ) -> Proof | WriteAgain | UnfinishedItem:
        if not pinned.proven:
            return pinned
        evidence: set[str] = set()
        try:
            for version, made in zip(item.versions, written.versions, strict=True):
                if version.marker:
                    continue
                if not work.has_time():
                    return UnfinishedItem(item.key)
                evidence.add(_Pair(self._calls, self._comparer, work, item, version, made).prove())
        except RedirectLostError as problem:
            return WriteAgain(item.key, str(problem))
        except UnequalError as problem:
            return Proof(item.key, Level.FULL, False, reason=str(problem))
        except OutOfTimeError:
            return UnfinishedItem(item.key)
        except S3Error as error:
            return Proof(item.key, Level.FULL, False, reason=error.message)
        return Proof(item.key, Level.FULL, True, ", ".join(sorted(evidence)) or "delete marker")


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

    def __init__(
        self,
        calls: Calls,
        comparer: ContentComparer,
        work: Work,
        item: Item,
        version: SourceVersion,
        made: str,
    ) -> None:
        entry = work.entry
        self._calls = calls
        self._comparer = comparer
        self._work = work
        self._version = version
        # A copy that keeps an archive class is archived at once.
        self._archived = entry.storage_class == "keep" and is_archived(version.storage_class)
        self._note = f"{item.key}\n{version.id}\nproof"
        self._source = (bucket_of(entry, "source"), entry.source.prefix + item.key, version.id)
        self._target = (bucket_of(entry, "target"), entry.target.prefix + item.key, made)

    def prove(self) -> str:
        """Prove that the two are equal; return the evidence.

        Raises:
            UnequalError: they differ.
            OutOfTimeError: time ran out; the next call continues.
        """
        if self._version.size <= READ_WHOLE and not self._archived:
            return self._read_whole()
        one, other = self._calls.head(*self._source), self._calls.head(*self._target)
        compare_headers(one, other, but=REDIRECT)
        self._compare_tags()
        evidence = compare_checksums(one, other)
        if not evidence and self._archived:
            raise UnequalError(
                "archived at the target, so it cannot be read, and no stored checksum proves it"
            )
        _compare_redirects(one, other)
        return evidence or self._read_to_the_end()

    def _read_whole(self) -> str:
        one, other = self._calls.get(*self._source), self._calls.get(*self._target)
        if one.body != other.body:
            raise UnequalError("contents differ")
        compare_headers(one.headers, other.headers, but=REDIRECT)
        if "x-amz-tagging-count" in one.headers or "x-amz-tagging-count" in other.headers:
            self._compare_tags()
        _compare_redirects(one.headers, other.headers)
        return "contents"

    def _compare_tags(self) -> None:
        if self._calls.tags(*self._source) != self._calls.tags(*self._target):
            raise UnequalError("tags differ")

    def _read_to_the_end(self) -> str:
        self._comparer.require_equal(self._work, self._note, self._source, self._target, self._version.size)
        return "streamed hash"


def _compare_redirects(one: Mapping[str, str], other: Mapping[str, str]) -> None:
    ours, theirs = one.get(REDIRECT), other.get(REDIRECT)
    if ours != theirs:
        raise (UnequalError if theirs else RedirectLostError)(f"{REDIRECT} differs")
