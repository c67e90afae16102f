"""Copy one batch of objects: pinned versions, in parallel, each only once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor

from regionshift.carriers.carrier import (
    Before,
    Conflict,
    Entry,
    Failed,
    Item,
    OutOfTimeError,
    SourceVersion,
    UnfinishedItem,
    Work,
    Written,
)
from regionshift.carriers.s3.calls import NULL, Bucket, Calls, Pinned, Version
from regionshift.carriers.s3.contents import REDIRECT
from regionshift.carriers.s3.copy_ownership import CopyOwnership, UndecidedError
from regionshift.carriers.s3.listing import one_stack, stacks_of
from regionshift.carriers.s3.multipart import Landing, MultipartCopy
from regionshift.carriers.side_by_side import side_by_side
from regionshift.carriers.transport import AnswerLostError, S3Error

_ATTEMPTS = 4


class Copier:
    """Copies the items of one batch."""

    def __init__(
        self, calls: Calls, pool: Executor, multipart: MultipartCopy, ownership: CopyOwnership
    ) -> None:
        self._calls = calls
        self._pool = pool
        self._multipart = multipart
        self._ownership = ownership

    def recover(self, work: Work, before: Mapping[str, Before]) -> Mapping[str, tuple[str, ...] | Conflict]:
        """See ``Carrier.recover``."""
        there = target_stacks(self._calls, work)
        newer = {item.key: _above(there[item.key], before[item.key]) for item in work.items}
        asked = [item for item in work.items if newer[item.key]]
        found = side_by_side(self._pool, lambda item: self._recovered(work, item, newer[item.key]), asked)
        return {item.key: ours for item, ours in zip(asked, found, strict=True) if ours}

    def _recovered(self, work: Work, item: Item, newer: list[Version]) -> tuple[str, ...] | Conflict:
        try:
            return tuple(self._ours(work, item, newer))
        except UndecidedError as problem:
            return Conflict(item.key, str(problem))

    def _ours(self, work: Work, item: Item, newer: list[Version]) -> list[str]:
        """Return our copies of the item's versions, in order, among ``newer`` (newest first).

        Skips versions of others.

        Raises:
            UndecidedError, OutOfTimeError: see ``CopyOwnership.is_copy``.
        """
        source, target = bucket_of(work.entry, "source"), bucket_of(work.entry, "target")
        source_key, key = (place.prefix + item.key for place in (work.entry.source, work.entry.target))
        found: list[str] = []
        for version in reversed(newer):
            if len(found) == len(item.versions):
                break
            wanted = item.versions[len(found)]
            spots = (source, source_key, wanted.id), (target, key, version.id)
            if self._ownership.is_copy(work, wanted, spots[0], version, spots[1]):
                found.append(version.id)
        return found

    def copy(
        self, work: Work, before: Mapping[str, Before], written: Mapping[str, tuple[str, ...]]
    ) -> Iterator[Written | Failed | UnfinishedItem]:
        """Copy each item of the batch, in its order."""

        def one(item: Item) -> Written | Failed | UnfinishedItem:
            return self._one(work, item, before[item.key], written.get(item.key, ()))

        return side_by_side(self._pool, one, work.items)

    def _one(
        self, work: Work, item: Item, before: Before, written: tuple[str, ...]
    ) -> Written | Failed | UnfinishedItem:
        """Copy the versions of one key that are not written yet, oldest first."""
        made = list(written)
        try:
            if item.key in work.again:
                if not work.has_time():
                    return UnfinishedItem(item.key)
                self._take_away(work, item, made)
            for version in item.versions[len(made) :]:
                if not work.has_time():
                    return UnfinishedItem(item.key)
                made.append(self._write(work, item, version, before, len(made)))
        except OutOfTimeError:
            return UnfinishedItem(item.key)
        except UndecidedError as problem:
            return Failed(item.key, str(problem), tuple(made))
        except S3Error as error:
            return Failed(item.key, error.message, tuple(made))
        return Written(item.key, tuple(made), adopted=bool(written) and item.key not in work.again)

    def _take_away(self, work: Work, item: Item, made: list[str]) -> None:
        """Delete the versions that must be written again, newest first."""
        target, key = bucket_of(work.entry, "target"), work.entry.target.prefix + item.key
        while made:
            self._calls.delete(target, key, made[-1])
            made.pop()

    def _write(self, work: Work, item: Item, version: SourceVersion, before: Before, made: int) -> str:
        """Write one version. When the answer is lost, look for the version before writing again."""
        target, key = bucket_of(work.entry, "target"), work.entry.target.prefix + item.key
        for attempt in range(_ATTEMPTS):
            try:
                return _kept(self._send(work, item, version), target)
            except AnswerLostError:
                newer = _above(one_stack(self._calls, target, key), before)
                found = self._ours(work, item, newer) if newer else []
                if len(found) > made:
                    return found[made]
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _send(self, work: Work, item: Item, version: SourceVersion) -> str:
        entry = work.entry
        target, key = bucket_of(entry, "target"), entry.target.prefix + item.key
        if version.marker:
            return self._calls.delete(target, key)
        source = Pinned(bucket_of(entry, "source"), entry.source.prefix + item.key, version.id, version.etag)
        headers = placement(entry, version)
        if self._multipart.takes(version.size):
            return self._multipart.copy(work, item.key, source, version.size, Landing(target, key, headers))
        if item.key in work.again:
            headers |= redirect_of(self._calls, source)
        return self._calls.copy(source, target, key, headers)


def bucket_of(entry: Entry, side: str) -> Bucket:
    """Return the entry's bucket; ``side``: ``source`` or ``target``."""
    place = entry.source if side == "source" else entry.target
    return Bucket(place.region, place.bucket, place.account)


def placement(entry: Entry, version: SourceVersion) -> dict[str, str]:
    """Return the headers for storage class and KMS key. Without a key, the bucket's default applies."""
    headers: dict[str, str] = {}
    wanted = version.storage_class if entry.storage_class == "keep" else entry.storage_class
    if wanted and wanted != "STANDARD":
        headers["x-amz-storage-class"] = wanted
    if entry.kms_key:
        headers["x-amz-server-side-encryption"] = "aws:kms"
        headers["x-amz-server-side-encryption-aws-kms-key-id"] = entry.kms_key
    return headers


def redirect_of(calls: Calls, source: Pinned) -> dict[str, str]:
    """Return the redirect header, which CopyObject does not copy (S3 API Reference, "CopyObject")."""
    found = calls.head(source.bucket, source.key, source.version)
    return {REDIRECT: found[REDIRECT]} if REDIRECT in found else {}


def target_stacks(calls: Calls, work: Work) -> dict[str, list[Version]]:
    """Return the target's present versions of each item, by the item's key, newest first."""
    prefix = work.entry.target.prefix
    keys = [prefix + item.key for item in work.items]
    after = prefix + work.after
    found = stacks_of(calls, bucket_of(work.entry, "target"), keys, after if work.after else "", prefix)
    return {key[len(prefix) :]: versions for key, versions in found.items()}


def _kept(made: str, target: Bucket) -> str:
    """Return the version ``made``.

    Raises:
        S3Error: the target does not keep versions any more, so that later writes would replace ours.
    """
    if made in ("", NULL):
        raise S3Error(
            "NoVersion",
            200,
            f"versioning of {target.name} was switched off while the migration ran; switch it on again",
            f"{target.region} s3://{target.name}",
        )
    return made


def is_before(version: Version, before: Before) -> bool:
    """Whether ``version`` was current before the first write."""
    return before.version is not None and version.identity.is_recorded_as(before.version)


def _above(stack: list[Version], before: Before) -> list[Version]:
    """Return the versions of ``stack`` that are newer than the recorded one. Both are newest first."""
    newer: list[Version] = []
    for version in stack:
        if is_before(version, before):
            break
        newer.append(version)
    return newer
