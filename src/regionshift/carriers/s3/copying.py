"""Copy one batch of objects: pinned, in parallel, and never a second time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor

from regionshift.carriers.carrier import Before, Entry, Failed, Item, SourceVersion, Unfinished, Work, Written
from regionshift.carriers.s3.calls import Bucket, Calls, Pinned
from regionshift.carriers.s3.listing import one_stack, stacks_of
from regionshift.carriers.s3.multipart import Landing, MultipartCopy, OutOfTimeError
from regionshift.carriers.s3.pages import Version
from regionshift.carriers.transport import AnswerLostError, S3Error

_ATTEMPTS = 4


class Copier:
    """Copies the items of one batch."""

    def __init__(self, calls: Calls, pool: Executor, multipart: MultipartCopy) -> None:
        self._calls = calls
        self._pool = pool
        self._multipart = multipart

    def recover(self, work: Work, before: Mapping[str, Before]) -> Mapping[str, tuple[str, ...]]:
        """What lies above the recorded versions and can only be ours, by key."""
        there = target_stacks(self._calls, work)
        found = {item.key: adopt(there[item.key], before[item.key], item.versions) for item in work.items}
        return {key: tuple(versions) for key, versions in found.items() if versions}

    def copy(
        self, work: Work, before: Mapping[str, Before], written: Mapping[str, tuple[str, ...]]
    ) -> Iterator[Written | Failed | Unfinished]:
        """Every item of the batch, in the batch's order."""
        steps = [
            self._pool.submit(self._one, work, item, before[item.key], written.get(item.key, ()))
            for item in work.items
        ]
        for step in steps:
            yield step.result()

    def _one(
        self, work: Work, item: Item, before: Before, written: tuple[str, ...]
    ) -> Written | Failed | Unfinished:
        """One key, its versions oldest first, those after the ones that are written already."""
        made = list(written)
        try:
            for version in item.versions[len(made) :]:
                if not work.has_time():
                    return Unfinished(item.key)
                made.append(self._write(work, item, version, before, len(made)))
        except OutOfTimeError:
            return Unfinished(item.key)
        except S3Error as error:
            return Failed(item.key, error.message, tuple(made))
        return Written(item.key, tuple(made), adopted=bool(written))

    def _write(self, work: Work, item: Item, version: SourceVersion, before: Before, made: int) -> str:
        """Write one version; when the answer is lost, look whether it is there before writing again."""
        target, key = bucket_of(work.entry, "target"), work.entry.target.prefix + item.key
        for attempt in range(_ATTEMPTS):
            try:
                return self._send(work, item, version)
            except AnswerLostError:
                found = adopt(one_stack(self._calls, target, key), before, item.versions)
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
        return self._calls.copy(source, target, key, headers)


def bucket_of(entry: Entry, side: str) -> Bucket:
    """The entry's bucket at ``source`` or ``target``."""
    place = entry.source if side == "source" else entry.target
    return Bucket(place.region, place.bucket)


def placement(entry: Entry, version: SourceVersion) -> dict[str, str]:
    """Headers for the target's storage class and key; without a key the bucket's own default holds."""
    headers: dict[str, str] = {}
    wanted = version.storage_class if entry.storage_class == "keep" else entry.storage_class
    if wanted and wanted != "STANDARD":
        headers["x-amz-storage-class"] = wanted
    if entry.kms_key:
        headers["x-amz-server-side-encryption"] = "aws:kms"
        headers["x-amz-server-side-encryption-aws-kms-key-id"] = entry.kms_key
    return headers


def target_stacks(calls: Calls, work: Work) -> dict[str, list[Version]]:
    """What the target holds now for each item, by the item's key, newest version first."""
    prefix = work.entry.target.prefix
    keys = [prefix + item.key for item in work.items]
    after = prefix + work.after
    found = stacks_of(calls, bucket_of(work.entry, "target"), keys, after if work.after else "", prefix)
    return {key[len(prefix) :]: versions for key, versions in found.items()}


def adopt(stack: list[Version], before: Before, wanted: tuple[SourceVersion, ...]) -> list[str]:
    """Ids of the copies of ``wanted`` (as many as there are, in order) that lie above the recorded version.

    What others wrote in between is passed over. ``stack`` is newest first.
    """
    newer: list[Version] = []
    for version in stack:
        if version.id == before.version:
            break
        newer.append(version)
    found: list[str] = []
    for version in reversed(newer):
        if len(found) < len(wanted) and looks_like(version, wanted[len(found)]):
            found.append(version.id)
    return found


def looks_like(found: Version, wanted: SourceVersion) -> bool:
    """Whether a version that lies above the recorded one can only be the copy of ``wanted``.

    A copy in parts, or under another key, may have another etag than its source; the size then decides.
    """
    if found.marker or wanted.marker:
        return found.marker == wanted.marker
    if found.size != wanted.size:
        return False
    comparable = "-" not in found.etag + wanted.etag
    return found.etag == wanted.etag or not comparable
