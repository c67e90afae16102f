"""The contents of ``metadata.json`` and ``rollback.json``: a whole migration, added up from its records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from regionshift.carriers.batch import BatchAnswer, count
from regionshift.carriers.carrier import DataLocation, Entry, Level
from regionshift.carriers.lines import entry_line, from_bytes, place_line, read_entry, whole_name
from regionshift.carriers.records import MigrationRecords, RecordStore
from regionshift.carriers.side_by_side import side_by_side
from regionshift.errors import Refused

NAMED = 100
"""Failures or conflicts that a summary names. The results have all of them."""

Metadata = dict[str, Any]
_READ_AT_ONCE = 8


class Tally:
    """Adds up the answers of batches."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.conflicts: list[Mapping[str, str]] = []
        self.wrote = False

    def answered(self, answer: BatchAnswer) -> None:
        """Add the answer of one batch."""
        self.conflicts = [*self.conflicts, *answer.conflicts][:NAMED]
        self.wrote = self.wrote or answer.wrote
        self.add(answer.counts)

    def add(self, counts: Mapping[str, int]) -> None:
        """Add counts."""
        for name, number in counts.items():
            self.counts[name] = self.counts.get(name, 0) + number


def opened(records: MigrationRecords, entries: Sequence[Entry], level: Level, started: str) -> Metadata:
    """Return the summary of a migration before it is planned."""
    return {
        "migration_id": records.id,
        "region": records.store.region,
        "source": _place([entry.source for entry in entries]),
        "target": _place([entry.target for entry in entries]),
        "started": started,
        "ended": None,
        "status": "planning",
        "level": level.value,
        "counts": {},
        "bytes": 0,
        "checksum": None,
        "batches": 0,
        "entries": [{"entry": entry_line(entry), "first_batch": 0, "batches": 0} for entry in entries],
    }


def entries_of(metadata: Metadata) -> list[Entry]:
    """Return the entries in a summary."""
    return [read_entry(part["entry"]) for part in metadata.get("entries", ())]


def require_same(records: MigrationRecords, known: Metadata, entries: Sequence[Entry]) -> None:
    """Check that the summary ``known`` is of a migration of ``entries`` into the region of ``records``.

    It can be another one, because the primary's records are replicated, and an id can be used twice.

    Raises:
        Refused: it is another migration's.
    """
    what = entries_of(known)
    if "status" not in known:
        why = "its record was not written by regionshift"
    elif known.get("region") != records.store.region:
        why = f"it went into {known.get('region')}"
    elif _carried(what) != _carried(entries):
        ways = ", ".join(f"{entry.source} to {entry.target}" for entry in what[:3])
        why = f"it carries {ways or 'nothing'}" + (", or selects otherwise" if what else "")
    else:
        return
    raise Refused(
        f"The id {records.id} belongs to another migration: {why}.",
        where=records.where(records.metadata),
        remedy="Use another id, or ask for the same as that migration.",
        error_id="RS-MIGRATION-005",
    )


def _carried(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries without ``owned``, which can differ between releases of the program."""
    return [replace(entry, owned=()) for entry in entries]


def added_up(records: MigrationRecords, metadata: Metadata) -> Metadata:
    """Return counts, bytes, the checksum of the results, and the unproven items; ``completed`` when there are none."""
    found = _of_results(records, metadata)
    conflicts = metadata["plan"]["conflict"]
    whole = not found["problems"] and not found["batches_missing"] and not conflicts
    if conflicts:
        first = records.lines(records.conflicts(0))
        found["conflicts"] = [
            {"key": line["key"], "item": f"{line['entry']}{line['key']}", "reason": line["reason"]}
            for line in first[:NAMED]
        ]
    return {**found, "status": "completed" if whole else "incomplete"}


def rollback_record(records: MigrationRecords, metadata: Metadata, reason: str, time: str) -> Metadata:
    """Return the record of a rollback that begins."""
    return {
        "migration_id": records.id,
        "original_migration": records.id,
        "region": records.store.region,
        "timestamp": time,
        "reason": reason,
        "status": "incomplete",
        "counts": {},
        "conflicts": [],
        "source": metadata.get("source"),
        "target": metadata.get("target"),
    }


def _of_results(records: MigrationRecords, metadata: Metadata) -> Metadata:
    batches = int(metadata["batches"])
    digest = hashlib.sha256()
    tally = Tally()
    named: list[dict[str, str]] = []
    missing = 0
    for batch, body in enumerate(
        _bodies(records.store, [records.results(batch) for batch in range(batches)])
    ):
        digest.update(body)
        lines = from_bytes(body)
        tally.add(count(lines))
        unproven = [line for line in lines if not line.get("proven")]
        if unproven and len(named) < NAMED:
            target = _target_of(metadata, batch)
            named.extend(_problem(line, target) for line in unproven[:NAMED])
        if not body:
            missing += 1
            if len(named) < NAMED:
                named.extend(_never_done(records, batch, _target_of(metadata, batch)))
        del named[NAMED:]
    moved = tally.counts.pop("bytes", 0)
    return {
        "counts": tally.counts,
        "bytes": moved,
        "checksum": digest.hexdigest(),
        "problems": named,
        "batches_missing": missing,
    }


def _target_of(metadata: Metadata, batch: int) -> DataLocation:
    """Return the target of a batch."""
    for part in metadata["entries"]:
        if part["first_batch"] <= batch < part["first_batch"] + part["batches"]:
            return read_entry(part["entry"]).target
    return DataLocation(str(metadata["region"]))


def _never_done(records: MigrationRecords, batch: int, target: DataLocation) -> list[dict[str, str]]:
    """Return the items of a batch without results, as problems."""
    _, *lines = records.lines(records.plan(batch)) or [{}]
    return [
        {
            "key": line["key"],
            **whole_name(target, line["key"]),
            "state": "not done",
            "reason": f"batch {batch} failed as a whole",
        }
        for line in lines
    ]


def _problem(line: Mapping[str, Any], target: DataLocation) -> dict[str, str]:
    return {
        "key": line["key"],
        **whole_name(target, line["key"]),
        "state": line["state"],
        "reason": line.get("reason", "not proven yet"),
    }


def _bodies(store: RecordStore, names: Sequence[str]) -> Iterator[bytes]:
    with ThreadPoolExecutor(_READ_AT_ONCE, thread_name_prefix="read") as pool:
        for body in side_by_side(pool, store.get, names, 2 * _READ_AT_ONCE):
            yield body or b""


def _place(places: Iterable[Any]) -> Any:
    lines = [place_line(place) for place in places]
    return lines[0] if len(lines) == 1 else lines
