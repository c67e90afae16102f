"""List all versions under a prefix in order of key, in parallel and with bounded memory.

A key space is listed page by page. After some pages, it is cut at its "folders" into ranges that are listed in
parallel, a few pages ahead of the reader. Memory is bounded by ranges × pages ahead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from regionshift.carriers.s3.calls import Bucket, Calls, Page, Version

_PAGES_BEFORE_CUT = 4
_RANGES_AT_ONCE = 8
_MOST_RANGES = 64  # each needs at least one request
_PAGES_AHEAD = 2


class Stack(NamedTuple):
    """All versions of one key, newest first."""

    key: str
    versions: list[Version]

    @property
    def latest(self) -> Version:
        """The current version, or delete marker."""
        return self.versions[0]


class _Range(NamedTuple):
    """Keys after ``after`` up to and including ``upto`` (None: to the end)."""

    after: tuple[str, str]
    upto: str | None


def stacks(calls: Calls, bucket: Bucket, prefix: str) -> Iterator[Stack]:
    """Yield the versions of each key that begins with ``prefix``, by key in code point order."""
    for key, versions in groupby(_versions(calls, bucket, prefix), attrgetter("key")):
        yield Stack(key, list(versions))


def _versions(calls: Calls, bucket: Bucket, prefix: str) -> Iterator[Version]:
    page = calls.page(bucket, prefix, ("", ""))
    with ThreadPoolExecutor(1, thread_name_prefix="list") as pool:
        for _ in range(_PAGES_BEFORE_CUT - 1):
            if page.next is None:
                break
            following = pool.submit(calls.page, bucket, prefix, page.next)
            yield from page.versions
            page = following.result()
    after = page.next
    yield from page.versions
    if after is None:
        return
    yield from _side_by_side(calls, bucket, prefix, _cut(calls, bucket, prefix, after))


def _cut(calls: Calls, bucket: Bucket, prefix: str, after: tuple[str, str]) -> list[_Range]:
    """Return ranges between the folders after ``after``; one range when there are no folders."""
    folders = calls.page(bucket, prefix, (after[0], ""), delimiter="/").prefixes
    # "dir" sorts before all keys in "dir/". A border need not be an existing key.
    borders = sorted({border for folder in folders if (border := folder.removesuffix("/")) > after[0]})
    borders = borders[:: 1 + len(borders) // _MOST_RANGES]
    starts = [after, *((border, "") for border in borders)]
    return [_Range(start, end) for start, end in zip(starts, [*borders, None], strict=True)]


def _side_by_side(calls: Calls, bucket: Bucket, prefix: str, ranges: Iterable[_Range]) -> Iterator[Version]:
    waiting = deque(ranges)
    running: deque[_Ahead] = deque()
    with ThreadPoolExecutor(_RANGES_AT_ONCE, thread_name_prefix="list") as pool:
        while waiting or running:
            while waiting and len(running) < _RANGES_AT_ONCE:
                running.append(_Ahead(calls, bucket, prefix, waiting.popleft(), pool))
            yield from running.popleft()


class _Ahead:
    """Reads one range, up to ``_PAGES_AHEAD`` pages ahead."""

    def __init__(
        self, calls: Calls, bucket: Bucket, prefix: str, span: _Range, pool: ThreadPoolExecutor
    ) -> None:
        self._calls, self._bucket, self._prefix = calls, bucket, prefix
        self._span, self._pool = span, pool
        self._future: Future[list[Page]] = pool.submit(self._read, span.after)

    def _read(self, after: tuple[str, str]) -> list[Page]:
        pages: list[Page] = []
        following: tuple[str, str] | None = after
        while following is not None and len(pages) < _PAGES_AHEAD:
            page = self._calls.page(self._bucket, self._prefix, following)
            pages.append(page)
            following = page.next
        return pages

    def __iter__(self) -> Iterator[Version]:
        while True:
            pages = self._future.result()
            following = pages[-1].next
            if following is not None and not self._past(following[0]):
                self._future = self._pool.submit(self._read, following)
            else:
                following = None
            for page in pages:
                for version in page.versions:
                    if self._past(version.key):
                        return
                    yield version
            if following is None:
                return

    def _past(self, key: str) -> bool:
        return self._span.upto is not None and key > self._span.upto


def stacks_of(
    calls: Calls, bucket: Bucket, keys: list[str], after: str, prefix: str
) -> dict[str, list[Version]]:
    """Return the versions of ``keys`` (sorted, all after ``after``) in few requests.

    One listing from ``after`` to the last key finds them all. When the bucket has many other keys in between, each
    remaining key is listed by itself.
    """
    found: dict[str, list[Version]] = {key: [] for key in keys}
    following: tuple[str, str] | None = (after, "")
    pages = 0
    while following is not None and following[0] <= keys[-1] and pages < 2 + len(keys) // 20:
        page = calls.page(bucket, prefix, following, most=len(keys) + 20 if not pages else 1000)
        pages += 1
        following = page.next
        for version in page.versions:
            if version.key in found:
                found[version.key].append(version)
    if following is None or following[0] > keys[-1]:
        return found
    for key in keys:
        if key >= following[0]:
            found[key] = one_stack(calls, bucket, key)
    return found


def one_stack(calls: Calls, bucket: Bucket, key: str) -> list[Version]:
    """Return all versions of one key, newest first; none when it never existed."""
    versions: list[Version] = []
    following: tuple[str, str] | None = ("", "")
    while following is not None:
        # The key itself comes before all longer keys that begin with it.
        page = calls.page(bucket, key, following, most=20)
        versions.extend(version for version in page.versions if version.key == key)
        following = page.next if page.next and page.next[0] <= key else None
    return versions
