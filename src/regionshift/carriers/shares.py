"""How much of a batch is done while it is still at work, noted now and then for whoever watches.

A record beside the lease, and not in it: who holds a batch is told by the lease's bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from regionshift.carriers.records import Layout, RecordStore

_NOTED_EVERY = 2.0  # seconds; what is done sooner notes nothing
_AT_ONCE = 8

Note = Callable[[int, int], None]
"""Told how many items and bytes of a batch are done."""


def unnoted(items: int, size: int) -> None:
    """Notes nothing."""
    del items, size


@dataclass(frozen=True)
class Shares:
    """What the batches of one migration say of themselves. ``now`` gives the time, with its zone."""

    store: RecordStore
    layout: Layout
    now: Callable[[], datetime]

    def of(self, batch: int) -> Note:
        """Notes how far ``batch`` is, every two seconds at most."""
        noted = self.now()

        def note(items: int, size: int) -> None:
            nonlocal noted
            if (self.now() - noted).total_seconds() >= _NOTED_EVERY:
                noted = self.now()
                self.store.put_json(self.layout.share(batch), {"items": items, "bytes": size})

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
