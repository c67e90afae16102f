"""What earlier migrations wrote to a target, read from their records in order of key."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from regionshift.carriers.carrier import Carried, Entry
from regionshift.carriers.lines import from_bytes, read_entry
from regionshift.carriers.records import Layout, RecordStore

_Ranked = tuple[str, int, Carried]


def carried(store: RecordStore, entry: Entry) -> Iterator[Carried]:
    """The newest write of every key from this source to this target, what was taken back left out."""
    earlier = sorted(_earlier(store, entry), key=lambda found: str(found[1]["started"]), reverse=True)
    streams = [_lines(store, rank, *found) for rank, found in enumerate(earlier)]
    for _, lines in groupby(heapq.merge(*streams, key=lambda line: line[:2]), key=lambda line: line[0]):
        yield next(lines)[2]


def _earlier(store: RecordStore, entry: Entry) -> Iterator[tuple[Layout, dict[str, Any], dict[str, Any]]]:
    for migration_id in store.folders("migrations/"):
        if migration_id.startswith("."):
            continue
        layout = Layout(migration_id)
        metadata = store.get_json(layout.metadata)
        if metadata is None or metadata.get("status") == "rolled_back":
            continue
        for part in metadata.get("entries", ()):
            known = read_entry(part["entry"])
            if (known.kind, known.source, known.target) == (entry.kind, entry.source, entry.target):
                yield layout, metadata, part


def _lines(
    store: RecordStore, rank: int, layout: Layout, _: dict[str, Any], part: dict[str, Any]
) -> Iterator[_Ranked]:
    for batch in range(part["first_batch"], part["first_batch"] + part["batches"]):
        for line in from_bytes(store.get(layout.results(batch)) or b""):
            if line["state"] == "written":
                yield (
                    line["key"],
                    rank,
                    Carried(line["key"], line["source_version"], line["versions"][-1], layout.id),
                )
