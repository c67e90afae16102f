"""The carrier of S3 objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import NamedTuple, TypeVar

from regionshift.carriers.carrier import (
    Again,
    Before,
    Carried,
    Conflict,
    Cost,
    Entry,
    Failed,
    Item,
    ItemState,
    Level,
    Limits,
    Proof,
    SourceVersion,
    Undone,
    UnfinishedItem,
    VersionIdentity,
    Work,
    Written,
    newer_at_target,
)
from regionshift.carriers.keys import Keys
from regionshift.carriers.named_values import ClientSource
from regionshift.carriers.s3 import checks
from regionshift.carriers.s3.calls import NULL, Calls, Version
from regionshift.carriers.s3.checks import with_left_behind, without_hidden_metadata
from regionshift.carriers.s3.contents import READ_STEP, ContentComparer
from regionshift.carriers.s3.copy_ownership import CopyOwnership
from regionshift.carriers.s3.copying import Copier, bucket_of, target_stacks
from regionshift.carriers.s3.listing import Stack, stacks
from regionshift.carriers.s3.multipart import MultipartCopy, MultipartSizes
from regionshift.carriers.s3.proof import READ_WHOLE, Prover
from regionshift.carriers.s3.undoing import Undoer
from regionshift.carriers.selection import Cursor, selector
from regionshift.carriers.side_by_side import side_by_side
from regionshift.carriers.transport import Transport

_AHEAD = 64  # comparisons under way at once
_T = TypeVar("_T")
_LONGEST_KEY = 1024
# Beside the parts: the source's headers, twice, and tags, the uploads that are there, the beginning, the end.
_AROUND_PARTS = 6
_TAGS = 2  # one request a side
_SIDES = 2
_SIZES = MultipartSizes()


class Decided(NamedTuple):
    """One object's item, what is there now on both sides, and what an earlier migration carried of it."""

    item: Item
    source: list[Version]
    target: Stack | None
    ours: Carried | None


def decisions(
    entry: Entry, source: Iterator[Stack], target: Iterator[Stack], carried: Iterator[Carried]
) -> Iterator[Decided]:
    """Every selected object of the source, by key. All three streams come in order of key."""
    selects = selector(entry)
    start, target_start = len(entry.source.prefix), len(entry.target.prefix)
    there = Cursor(target, lambda stack: stack.key[target_start:])
    ours = Cursor(carried, lambda line: line.key)
    for stack in source:
        key = stack.key[start:]
        if not selects(key) or (stack.latest.marker and not entry.history):
            continue
        found, known = there.at(key), ours.at(key)
        item = decide(entry, key, stack.versions, found, known)
        yield Decided(item, stack.versions, found, known)


def deepened(
    entry: Entry, decided: Iterator[Decided], difference: Callable[[Decided], str], pool: Executor
) -> Iterator[Item]:
    """Ask about each item that is the same by its versions; what differs goes again, and says in what.

    A version's contents cannot change, but its tags can, and a checksum is seen to be what it was.
    """

    def look(one: Decided) -> Item:
        newest = one.source[0]
        if one.item.kind is not ItemState.SAME or newest.marker:
            return one.item
        reason = difference(one)
        if not reason:
            return one.item
        again = _item(one.item.key, ItemState.CHANGED, [newest], reason)
        return _told(entry, again, one.source, one.target, one.ours)

    return side_by_side(pool, look, decided, _AHEAD)


def decide(entry: Entry, key: str, source: list[Version], target: Stack | None, ours: Carried | None) -> Item:
    """What one key needs. ``source`` is newest first and not empty."""
    newest = source[0]
    latest = target.latest if target else None
    # What we wrote is told by its versions: somebody's headers on it leave the etag as it was, and a version of the
    # source that is not the one we carried can differ in its headers alone.
    if ours is None and target and _holds_the_same(entry, source, target):
        return Item(key, ItemState.SAME)
    if ours and (latest is None or not latest.identity.is_recorded_as(ours.target_version, ours.ended)):
        if latest is None or latest.marker:
            return Item(
                key, ItemState.CONFLICT, reason=f"deleted at the target since {ours.migration_id} wrote it"
            )
        return Item(
            key, ItemState.CONFLICT, reason=f"written over at the target since {ours.migration_id} wrote it"
        )
    if ours and newest.identity.is_recorded_as(ours.source_version, ours.ended):
        return Item(key, ItemState.SAME)
    # AWS keeps the version id of a replica, so an equal id is the same version.
    if latest and latest.id == newest.id != NULL:
        return Item(key, ItemState.SAME)
    kind = ItemState.NEW if latest is None or latest.marker else ItemState.CHANGED
    return _told(entry, _item(key, kind, _wanted(entry, source, ours)), source, target, ours)


def _told(
    entry: Entry, item: Item, source: list[Version], target: Stack | None, ours: Carried | None
) -> Item:
    """The item, with what a person should know of it before it is written."""
    if item.kind is ItemState.CONFLICT:
        return item
    newer = newer_at_target(source[0].date, target.latest.date) if target and not ours else ""
    left = ("earlier versions",) if len(source) > 1 and not entry.history else ()
    return replace(item, newer=newer, left=left)


def _holds_the_same(entry: Entry, source: list[Version], target: Stack) -> bool:
    """Whether the listings show the same contents, as another tool may have copied them.

    Equal etags of equal sizes are the MD5 of the same contents, or of the same parts; under KMS they differ even for
    equal contents, and then it is copied (S3 API Reference, "Object"). A key and a class that the entry asks for are
    reasons to write: a listing does not tell the one, and shows the other.
    """
    wanted = source if entry.history else source[:1]
    if entry.kms_key or len(target.versions) < len(wanted):
        return False
    return all(_is_alike(entry, one, other) for one, other in zip(wanted, target.versions, strict=False))


def _is_alike(entry: Entry, one: Version, other: Version) -> bool:
    if one.marker or other.marker:
        return one.marker and other.marker
    in_class = entry.storage_class in ("keep", other.storage_class)
    return in_class and bool(one.etag) and (one.etag, one.size) == (other.etag, other.size)


def _item(key: str, kind: ItemState, wanted: list[Version], reason: str = "") -> Item:
    """The item that copies ``wanted`` (oldest first); a conflict where one of them cannot be copied."""
    away = next((version for version in wanted if version.is_out_of_reach), None)
    if away is not None:
        return Item(
            key,
            ItemState.CONFLICT,
            reason=f"version {away.id} is archived at the source ({away.storage_class}): restore it first",
        )
    return Item(key, kind, tuple(map(_pin, wanted)), reason)


def _wanted(entry: Entry, source: list[Version], ours: Carried | None) -> list[Version]:
    if not entry.history:
        return source[:1]
    newer: list[Version] = []
    # The version that was carried is gone when it was "null" and is written over: its date still tells where it was.
    carried_until = VersionIdentity.read(ours.source_version).date if ours else ""
    for version in source:
        if ours and version.identity.is_recorded_as(ours.source_version, ours.ended):
            break
        if carried_until and version.date <= carried_until:
            break
        newer.append(version)
    return newer[::-1]


def _pin(version: Version) -> SourceVersion:
    found = version.identity
    return SourceVersion(
        version.id, version.etag, version.size, version.marker, version.storage_class, found.date
    )


class Objects:
    """Carries objects by server-side copies; as many at once as the transport has connections."""

    kind = "s3"

    def __init__(
        self,
        transport: Transport,
        sizes: MultipartSizes | None = None,
        clients: ClientSource | None = None,
    ) -> None:
        """``clients`` are asked about keys; without them no bucket is judged by its key."""
        self._calls = Calls(transport)
        self._clients = clients
        self._pool = ThreadPoolExecutor(transport.connections, thread_name_prefix="object")
        self._multipart = multipart = MultipartCopy(self._calls, sizes or MultipartSizes())
        comparer = ContentComparer(self._calls)
        ownership = CopyOwnership(self._calls, comparer)
        self._copier = Copier(self._calls, self._pool, multipart, ownership)
        self._prover = Prover(self._calls, self._pool, comparer)
        self._undoer = Undoer(self._calls, self._pool, multipart, ownership)

    def check(self, entry: Entry) -> Limits:
        """See ``Carrier.check``."""
        keys = Keys(self._clients, entry) if self._clients is not None and entry.keys else None
        return checks.check(self._calls, entry, keys)

    def inventory(
        self, entry: Entry, carried: Iterator[Carried], *, deep: bool = False, left_behind: bool = False
    ) -> Iterator[Item]:
        """See ``Carrier.inventory``."""
        source, target = bucket_of(entry, "source"), bucket_of(entry, "target")
        decided = decisions(
            entry,
            _begun(self._pool, stacks(self._calls, source, entry.source.prefix)),
            _begun(self._pool, stacks(self._calls, target, entry.target.prefix)),
            _begun(self._pool, carried),
        )

        def difference(one: Decided) -> str:
            assert one.target is not None, "what is the same is there"
            ours, theirs = one.source[0], one.target.latest
            return self._prover.difference((source, ours.key, ours.id), (target, theirs.key, theirs.id))

        items = deepened(entry, decided, difference, self._pool) if deep else (one.item for one in decided)
        items = without_hidden_metadata(self._calls, entry, items, self._pool, self._multipart.takes)
        return with_left_behind(self._calls, entry, items, self._pool) if left_behind else items

    def describe_before(self, work: Work) -> Mapping[str, Before]:
        """See ``Carrier.describe_before``."""
        return {
            key: Before(
                key, str(versions[0].identity), versions[0].marker, versions[0].etag, versions[0].size
            )
            if versions
            else Before(key)
            for key, versions in target_stacks(self._calls, work).items()
        }

    def recover(self, work: Work, before: Mapping[str, Before]) -> Mapping[str, tuple[str, ...] | Conflict]:
        """See ``Carrier.recover``."""
        return self._copier.recover(work, before)

    def copy(
        self, work: Work, before: Mapping[str, Before], written: Mapping[str, tuple[str, ...]]
    ) -> Iterator[Written | Failed | UnfinishedItem]:
        """See ``Carrier.copy``."""
        return self._copier.copy(work, before, written)

    def verify(
        self, work: Work, written: Mapping[str, Written], level: Level
    ) -> Iterator[Proof | Again | UnfinishedItem]:
        """See ``Carrier.verify``."""
        return self._prover.verify(work, written, level)

    def undo(
        self, work: Work, before: Mapping[str, Before], written: Mapping[str, tuple[str, ...]]
    ) -> Iterator[Undone | Conflict | UnfinishedItem]:
        """See ``Carrier.undo``. A bucket that replicates onward is asked about at every batch."""
        forward = checks.propagates(self._calls, work.entry)
        return self._undoer.undo(work, before, written, forward=forward)


def too_long_key(key: str) -> str:
    """S3 User Guide, "Naming Amazon S3 objects": bytes of UTF-8."""
    return (
        f"its key would have more than {_LONGEST_KEY} bytes at the target"
        if len(key.encode()) > _LONGEST_KEY
        else ""
    )


def reckon_object(cost: Cost, item: Item, level: Level) -> None:
    """A copy a version, in parts where it is large, and at full its tags and contents on both sides."""
    cost.copied_alone = max(cost.copied_alone, item.size)
    for version in item.versions:
        size = version.size
        cost.writes += 1
        if size > _SIZES.threshold:
            cost.writes += -(-size // _SIZES.part_size(size)) + _AROUND_PARTS
        if level is Level.PINNED or version.marker:
            continue
        cost.reads += _SIDES + _TAGS
        cost.read += size
        if size > READ_WHOLE:
            cost.reads += _SIDES * -(-size // READ_STEP)
            cost.read_alone = max(cost.read_alone, size)


def _begun(pool: Executor, stream: Iterator[_T]) -> Iterator[_T]:
    """The same stream, its first item asked for already: the first pages of several come side by side."""
    first = pool.submit(lambda: list(islice(stream, 1)))

    def whole() -> Iterator[_T]:
        yield from first.result()
        yield from stream

    return whole()
