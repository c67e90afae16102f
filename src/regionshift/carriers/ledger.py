"""Reads from the records of earlier migrations what they wrote to a target, in order of key.

A folder for each pair of source and target lists the ids of its migrations, so that planning does not read the
records of all migrations.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from regionshift.carriers.carrier import Carried, Entry, VersionIdentity
from regionshift.carriers.lines import dump, place_line, read_entry
from regionshift.carriers.records import CARRIED, MigrationRecords, RecordStore, is_id
from regionshift.carriers.seals import Unsealed


@dataclass(frozen=True)
class _Restored:
    """A version that undo wrote: it has the contents of the version ``earlier``."""

    key: str
    earlier: str | None
    version: str


_Ranked = tuple[str, int, Carried | _Restored]


def carried(
    store: RecordStore, entry: Entry, unsealed: Callable[[str], object] = lambda _: None
) -> Iterator[Carried]:
    """Yield the last copy from this source to this target of each key. Copies that were undone are left out.

    A copy without a proof has an empty source version. A version that undo wrote takes the place of the version that
    it restored.

    Args:
        unsealed: called with the id of each migration whose summary is not sealed. Such a migration is ignored.
    """
    found = sorted(_earlier(store, entry, unsealed), key=lambda each: str(each[1]["started"]))
    streams = [
        (_undone if metadata["status"] == "rolled_back" else _lines)(
            rank, records, part, str(metadata.get("ended") or "")
        )
        for rank, (records, metadata, part) in enumerate(found)
    ]
    for _, lines in groupby(heapq.merge(*streams, key=lambda line: line[:2]), key=lambda line: line[0]):
        last: Carried | None = None
        for _, _, line in lines:
            if isinstance(line, Carried):
                last = line
            elif last is not None and _is_earlier(last, line):
                last = replace(last, target_version=line.version)
        if last is not None:
            yield last


def folder_of(entry: Entry) -> str:
    """Return the folder with the ids of the migrations from this source to this target, an empty record each."""
    pair = {"kind": entry.kind, "source": place_line(entry.source), "target": place_line(entry.target)}
    return f"migrations/{CARRIED}/{hashlib.sha256(dump(pair).encode()).hexdigest()[:32]}/"


def _earlier(
    store: RecordStore, entry: Entry, unsealed: Callable[[str], object]
) -> Iterator[tuple[MigrationRecords, dict[str, Any], dict[str, Any]]]:
    folder = folder_of(entry)
    for name in store.names(folder):
        migration_id = name.removeprefix(folder)
        if not is_id(migration_id):
            continue
        records = MigrationRecords(store, migration_id)
        try:
            metadata = store.get_json(records.metadata)
        except Unsealed:
            unsealed(migration_id)
            continue  # its writes count as somebody else's
        if metadata is None or (metadata.get("status") == "rolled_back" and not metadata.get("undo_wrote")):
            continue
        for part in metadata.get("entries", ()):
            known = read_entry(part["entry"])
            if (known.kind, known.source, known.target) == (entry.kind, entry.source, entry.target):
                yield records, metadata, part


def _batches(part: dict[str, Any]) -> range:
    return range(part["first_batch"], part["first_batch"] + part["batches"])


def _is_earlier(last: Carried, restored: _Restored) -> bool:
    """Whether the restored version is the one that ``last`` wrote. Records of earlier releases have no dates."""
    if restored.earlier is None:
        return False
    return VersionIdentity.read(restored.earlier).is_recorded_as(last.target_version)


def _lines(rank: int, records: MigrationRecords, part: dict[str, Any], ended: str) -> Iterator[_Ranked]:
    for batch in _batches(part):
        for line in records.lines(records.results(batch)):
            if line["state"] == "written":
                key = line["key"]
                # Without a proof nobody knows its contents. Without a source version, it is copied again.
                source = line["source_version"] if line.get("proven") else ""
                yield key, rank, Carried(key, source, line["versions"][-1], records.id, ended)


def _undone(rank: int, records: MigrationRecords, part: dict[str, Any], _ended: str) -> Iterator[_Ranked]:
    for batch in _batches(part):
        before = {line["key"]: line["version"] for line in records.lines(records.before(batch))}
        for line in records.lines(records.undone(batch)):
            if line.get("version"):
                key = line["key"]
                yield key, rank, _Restored(key, before.get(key), line["version"])
