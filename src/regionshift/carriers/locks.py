"""Locks on targets, so that one migration at a time writes there (``acquire``), and leases of calls (``Leases``).

A migration locks its targets when it begins and releases them when it ends.

Each call that runs a part of a migration holds a lease, so that a rollback waits until the call has ended. A call
writes its lease first and then looks for the stop flag. A rollback writes the stop flag first and then looks for
leases. S3 is strongly consistent (S3 User Guide, "Amazon S3 data consistency model"), so one of them always sees the
other. A part that must not run twice at once is run ``alone``. Its lease is written only where there is none, or where
the lease has expired (S3 User Guide, "Conditional writes").
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from regionshift.carriers.carrier import Entry
from regionshift.carriers.lines import dump
from regionshift.carriers.records import LOCKS, MigrationRecords, RecordStore
from regionshift.errors import Refused

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 10.0  # seconds between two looks at another call's lease


def acquire(records: MigrationRecords, entries: Sequence[Entry]) -> None:
    """Lock all targets of ``entries`` for one migration. Idempotent.

    Raises:
        Refused: another migration has locked one of the targets. Then no lock is kept.
    """
    taken: list[str] = []
    for name in _names(entries):
        holder = _take(records, name)
        if holder is None:
            taken.append(name)
        elif holder != records.id:
            for mine in taken:
                records.store.delete(mine)
            raise _refusal(records.store, name, holder)


def require_free(records: MigrationRecords, entries: Sequence[Entry], after: Collection[str] = ()) -> None:
    """Check that no other migration has locked a target of ``entries``. Locks nothing.

    Args:
        after: migrations whose locks do not count, because they will be released first.

    Raises:
        Refused: another migration has locked one of the targets.
    """
    for name in _names(entries):
        holder = (records.store.get_json(name) or {}).get("migration_id", records.id)
        if holder != records.id and holder not in after:
            raise _refusal(records.store, name, str(holder))


def holders(store: RecordStore, entries: Sequence[Entry]) -> set[str]:
    """Return the migrations that have locked a target of ``entries``."""
    found = (store.get_json(name) for name in _names(entries))
    return {str(lock["migration_id"]) for lock in found if lock}


def release(records: MigrationRecords, entries: Sequence[Entry]) -> None:
    """Release the targets. Locks of other migrations stay."""
    for name in _names(entries):
        holder = (records.store.get_json(name) or {}).get("migration_id")
        if holder == records.id:
            records.store.delete(name)


def _take(records: MigrationRecords, name: str) -> str | None:
    """Lock one target. Return the migration that has locked it already, or None."""
    while True:
        if records.store.create(name, dump({"migration_id": records.id}).encode()):
            return None
        found = records.store.get_json(name)
        # No lock any more: it was released just now. Try again.
        if found is not None:
            return str(found["migration_id"])


def _refusal(store: RecordStore, name: str, holder: str) -> Refused:
    return Refused(
        f"Migration {holder} into the same target is not finished.",
        where=store.where(name),
        remedy=f"Wait for {holder}, continue it, or undo it: regionshift rollback {holder}",
        error_id="RS-MIGRATION-004",
    )


def _names(entries: Sequence[Entry]) -> list[str]:
    # Prefixes can contain each other, so the whole bucket is locked. The order is always the same.
    targets = {f"{entry.kind} {entry.target.region} {entry.target.bucket}" for entry in entries}
    return [
        f"migrations/{LOCKS}/{hashlib.sha256(target.encode()).hexdigest()[:32]}.json"
        for target in sorted(targets)
    ]


@dataclass(frozen=True)
class Leases:
    """Leases of one migration.

    Args:
        now: returns the time, with its zone.
        seconds: returns how long this call can still take at most. None: no other process can roll the migration
            back meanwhile, so no lease is written.
        sleep: waits (seconds).
    """

    records: MigrationRecords
    now: Callable[[], datetime]
    seconds: Callable[[], float] | None = None
    sleep: Callable[[float], None] = time.sleep

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Hold a lease while the block runs. The lease of a call that dies expires.

        Several calls may run the same part, each with its own lease.
        """
        with self.alone(f"{name}-{uuid.uuid4().hex}", lambda: False):
            yield

    @contextmanager
    def alone(self, name: str, has_time: Callable[[], bool]) -> Iterator[bool]:
        """As ``held``, but one call at a time. Yield False when another call held it until time ran out."""
        if self.seconds is None:
            yield True
            return
        until = self.now() + timedelta(seconds=self.seconds())
        body = dump({"until": until.isoformat(), "call": uuid.uuid4().hex}).encode()
        lease, pause = self.records.running(name), _FIRST_PAUSE
        while not self._take(lease, body):
            if not has_time():
                yield False
                return
            self.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        try:
            yield True
        finally:
            # An expired lease may belong to another call by now.
            if self.now() < until:
                self.records.store.delete(lease)

    def running(self) -> list[str]:
        """Return the names of the leases that are held now."""
        found = []
        prefix = self.records.running("")
        for name in self.records.store.names(prefix):
            body = self.records.store.get(name)
            if body is not None and self._is_live(body):
                found.append(name.removeprefix(prefix))
        return found

    def _take(self, lease: str, body: bytes) -> bool:
        while True:
            if self.records.store.create(lease, body):
                return True
            found = self.records.store.look(lease)
            if found is None:
                continue  # released just now
            if found[0] == body:
                return True  # ours: an answer was lost and the request was repeated
            if self._is_live(found[0]):
                return False
            if self.records.store.replace(lease, body, found[1]):
                return True

    def _is_live(self, lease: bytes) -> bool:
        return datetime.fromisoformat(json.loads(lease)["until"]) > self.now()
