"""The carrier of S3 objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from regionshift.carriers.carrier import (
    Again,
    Before,
    Carried,
    Conflict,
    Cost,
    Entry,
    Failed,
    Item,
    Level,
    Limits,
    Proof,
    Undone,
    UnfinishedItem,
    Work,
    Written,
)
from regionshift.carriers.keys import Keys
from regionshift.carriers.named import ClientSource
from regionshift.carriers.s3 import checks, planning
from regionshift.carriers.s3.calls import Calls
from regionshift.carriers.s3.contents import READ_STEP, ContentComparer
from regionshift.carriers.s3.copy_ownership import CopyOwnership
from regionshift.carriers.s3.copying import Copier, bucket_of, target_stacks
from regionshift.carriers.s3.left_behind import with_left_behind
from regionshift.carriers.s3.listing import stacks
from regionshift.carriers.s3.multipart import MultipartCopy, MultipartSizes
from regionshift.carriers.s3.proof import READ_WHOLE, Prover
from regionshift.carriers.s3.undoing import Undoer
from regionshift.carriers.transport import Transport

_T = TypeVar("_T")
_LONGEST_KEY = 1024
# Beside the parts: the source's headers and tags, the uploads that are there, the beginning, the end.
_AROUND_PARTS = 5
_TAGS = 2  # one request a side
_SIDES = 2
_SIZES = MultipartSizes()


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
        multipart = MultipartCopy(self._calls, sizes or MultipartSizes())
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
        decided = planning.plan(
            entry,
            _begun(self._pool, stacks(self._calls, source, entry.source.prefix)),
            _begun(self._pool, stacks(self._calls, target, entry.target.prefix)),
            _begun(self._pool, carried),
        )

        def difference(one: planning.Decided) -> str:
            assert one.target is not None, "what is the same is there"
            ours, theirs = one.source[0], one.target.latest
            return self._prover.difference((source, ours.key, ours.id), (target, theirs.key, theirs.id))

        items = (
            planning.deepened(entry, decided, difference, self._pool)
            if deep
            else (one.item for one in decided)
        )
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
