"""How much of a batch is done while it is still at work, noted now and then for whoever watches.

A record beside the lease, and not in it: who holds a batch is told by the lease's bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from regionshift.carriers.records import Layout, RecordStore
from regionshift.carriers.transport import S3Error

_NOTED_EVERY = 2.0  # seconds; what is done sooner notes nothing
_AT_ONCE = 8

Note = Callable[[int, int], None]
"""Told how many items and bytes of a batch are done."""


def unnoted(items: int, size: int) -> None:
    """Notes nothing."""
    del items, size


@dataclass(frozen=True)
class Shares:
    """What the batches of one migration say of themselves.

    Args:
        now: the time, with its zone.
        warn: told of a note that could not be written: it is for watching only, so the copying goes on.
    """

    store: RecordStore
    layout: Layout
    now: Callable[[], datetime]
    warn: Callable[[str], None]

    def of(self, batch: int) -> Note:
        """Notes how far ``batch`` is, every two seconds at most."""
        noted = self.now()

        def note(items: int, size: int) -> None:
            nonlocal noted
            if (self.now() - noted).total_seconds() >= _NOTED_EVERY:
                noted = self.now()
                try:
                    self.store.put_json(self.layout.share(batch), {"items": items, "bytes": size})
                except S3Error as problem:
                    self.warn(f"How far batch {batch} of {self.layout.id} is could not be noted: {problem}")

        return note


def read_shares(
    store: RecordStore, layout: Layout, batches: list[int]
) -> Iterator[tuple[int, tuple[int, int]]]:
    """Items and bytes done of those of ``batches`` that have noted any."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(lambda batch: store.get_json(layout.share(batch)), batches))
    for batch, share in zip(batches, found, strict=True):
        if share:
            yield batch, (int(share["items"]), int(share["bytes"]))
