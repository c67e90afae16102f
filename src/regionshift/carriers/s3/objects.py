"""The carrier of S3 objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import NamedTuple, TypeVar

from regionshift.carriers.carrier import (
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
    WriteAgain,
    Written,
    changed_since,
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
_AROUND_PARTS = (
    6  # requests besides the parts: headers (twice), tags and uploads are read; it is begun and completed
)
_TAGS = 2  # one request a side
_SIDES = 2
_SIZES = MultipartSizes()


class Decided(NamedTuple):
    """One object's item, its versions on both sides, and its earlier copy."""

    item: Item
    source: list[Version]
    target: Stack | None
    ours: Carried | None


def decisions(
    entry: Entry, source: Iterator[Stack], target: Iterator[Stack], carried: Iterator[Carried]
) -> Iterator[Decided]:
    """Yield each selected object of the source, by key. All three streams must be in order of key."""
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
    """Compare items more deeply whose versions are the same. An item that differs becomes ``changed``, with a reason.

    The contents of a version cannot change, but its tags can.
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
    """Return the item of one key. ``source`` is newest first and not empty."""
    newest = source[0]
    latest = target.latest if target else None
    # An earlier copy of ours is compared by its versions, not by etag: headers can change while the etag stays.
    if ours is None and target and _holds_the_same(entry, source, target):
        return Item(key, ItemState.SAME)
    if ours and (latest is None or not latest.identity.is_recorded_as(ours.target_version, ours.ended)):
        deleted = latest is None or latest.marker
        return Item(key, ItemState.CONFLICT, reason=changed_since(ours, deleted=deleted))
    if ours and newest.identity.is_recorded_as(ours.source_version, ours.ended):
        return Item(key, ItemState.SAME)
    # A replica has the version id of its source, so an equal id is the same version.
    if latest and latest.id == newest.id != NULL:
        return Item(key, ItemState.SAME)
    kind = ItemState.NEW if latest is None or latest.marker else ItemState.CHANGED
    return _told(entry, _item(key, kind, _wanted(entry, source, ours)), source, target, ours)


def _told(
    entry: Entry, item: Item, source: list[Version], target: Stack | None, ours: Carried | None
) -> Item:
    """Return the item with its remarks for the plan."""
    if item.kind is ItemState.CONFLICT:
        return item
    newer = newer_at_target(source[0].date, target.latest.date) if target and not ours else ""
    left = ("earlier versions",) if len(source) > 1 and not entry.history else ()
    return replace(item, newer=newer, left=left)


def _holds_the_same(entry: Entry, source: list[Version], target: Stack) -> bool:
    """Whether the listings show the same contents on both sides, for example after a copy by another tool.

    With equal sizes, equal etags are the MD5 of the same contents or the same parts. Under KMS etags differ even for
    equal contents, and the object is copied (S3 API Reference, "Object"). An entry with a KMS key always writes,
    because listings do not show keys.
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
    """Return the item that copies ``wanted`` (oldest first); a conflict when one cannot be copied."""
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
    # A carried version "null" is gone when it was overwritten. Its date still gives its place in the history.
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
    """Carries objects by server-side copies, as many at once as the transport has connections."""

    kind = "s3"

    def __init__(
        self, transport: Transport, sizes: MultipartSizes | None = None, clients: ClientSource | None = None
    ) -> None:
        """``clients`` are for KMS; without them no KMS key is checked."""
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
    ) -> Iterator[Proof | WriteAgain | UnfinishedItem]:
        """See ``Carrier.verify``."""
        return self._prover.verify(work, written, level)

    def undo(
        self, work: Work, before: Mapping[str, Before], written: Mapping[str, tuple[str, ...]]
    ) -> Iterator[Undone | Conflict | UnfinishedItem]:
        """See ``Carrier.undo``. Each batch asks whether the target bucket replicates to others."""
        forward = checks.propagates(self._calls, work.entry)
        return self._undoer.undo(work, before, written, forward=forward)


def too_long_key(key: str) -> str:
    """Check the bytes of a key in UTF-8 (S3 User Guide, "Naming Amazon S3 objects")."""
    return (
        f"its key would have more than {_LONGEST_KEY} bytes at the target"
        if len(key.encode()) > _LONGEST_KEY
        else ""
    )


def add_object_cost(cost: Cost, item: Item, level: Level) -> None:
    """Add the copies of all versions, in parts where they are large; at level ``full`` also the proof's reads."""
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
    """Return the same stream, and read its first item now, so that several streams start in parallel."""
    first = pool.submit(lambda: list(islice(stream, 1)))

    def whole() -> Iterator[_T]:
        yield from first.result()
        yield from stream

    return whole()
