"""What to do with each object: both listings and what earlier migrations wrote, read side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import NamedTuple

from regionshift.carriers.carrier import (
    Carried,
    Entry,
    Item,
    ItemState,
    SourceVersion,
    VersionIdentity,
    newer_at_target,
)
from regionshift.carriers.s3.listing import Stack
from regionshift.carriers.s3.pages import NULL, Version
from regionshift.carriers.selection import Cursor, selector

_AHEAD = 64  # comparisons under way at once


class Decided(NamedTuple):
    """One object's item, what is there now on both sides, and what an earlier migration carried of it."""

    item: Item
    source: list[Version]
    target: Stack | None
    ours: Carried | None


def plan(
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

    running: deque[Future[Item]] = deque()
    for one in decided:
        running.append(pool.submit(look, one))
        if len(running) > _AHEAD:
            yield running.popleft().result()
    for future in running:
        yield future.result()


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
