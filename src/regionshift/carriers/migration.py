"""A whole migration: plan it, copy and prove each batch, finish it, continue it, roll it back.

The state machine runs ``run_batch`` for each line of the manifest between ``begin`` and ``finish``. ``run`` runs all
batches in this process; the function does that when it is called directly.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Any

from regionshift.carriers import summary
from regionshift.carriers.batch import Batch, BatchAnswer, Carriers, progress_writer
from regionshift.carriers.bounds import Bounds
from regionshift.carriers.carrier import Entry, Level, Limits
from regionshift.carriers.lines import dump, entry_line
from regionshift.carriers.locks import Leases, acquire, release, require_free
from regionshift.carriers.plan import (
    ANYTHING,
    Asked,
    BeingPlanned,
    MigrationPlan,
    NullSink,
    RecordingSink,
    RequestCheck,
    make_plan,
    require_sound,
)
from regionshift.carriers.records import MigrationRecords, RecordStore
from regionshift.carriers.side_by_side import side_by_side
from regionshift.errors import Refused, WorkFailed

_BATCHES_AT_ONCE = 4
_LOOK_AGAIN = 1.0  # seconds between two checks for calls that still copy
_KEPT_FOR_AN_ANSWER = 5.0  # seconds that a waiting call keeps for its own answer
_AT_THE_END = ("completed", "rolled_back")
_DIGEST = 32  # characters
_WHOLE = "all"  # the lease of a call that runs every batch

Metadata = summary.Metadata
Unit = Callable[[Batch], BatchAnswer]


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Progressed:
    """The progress of a run after one more batch."""

    answer: BatchAnswer
    done: int
    batches: int


@dataclass(frozen=True)
class Migrations:
    """The migrations into one region; ``of`` returns one of them.

    Args:
        store: their records.
        carriers: by kind.
        bounds: the places that may be read and written today, whatever a record names.
        now: returns the time, with its zone.
        watch: called after each batch.
        call_seconds: returns how long this call can still take, when another process may roll the migration back
            meanwhile; that process then waits. None: no other process can.
        sleep: waits (seconds).
        warn: called with problems that do not stop the work.
    """

    store: RecordStore
    carriers: Carriers
    bounds: Bounds
    now: Callable[[], datetime]
    watch: Callable[[Progressed], None] = field(default=lambda _: None)
    call_seconds: Callable[[], float] | None = None
    sleep: Callable[[float], None] = time.sleep
    warn: Callable[[str], None] = field(default=lambda _: None)

    def of(self, migration_id: str) -> Migration:
        """Return one migration, which may not have begun.

        Raises:
            InputError: the id is not valid.
        """
        return Migration(MigrationRecords(self.store, migration_id), self)


@dataclass(frozen=True)
class Migration:
    """One migration. Its state is in its records."""

    records: MigrationRecords
    means: Migrations

    @property
    def store(self) -> RecordStore:
        """The store of its records."""
        return self.records.store

    @property
    def region(self) -> str:
        """The region that it writes to."""
        return self.records.store.region

    def undone(self) -> Metadata | None:
        """Return the record of its rollback, or None when no rollback has begun."""
        return self.store.get_json(self.records.rollback)

    def plan(
        self, entries: Sequence[Entry], level: Level, *, deep: bool = False, left_behind: bool = True
    ) -> MigrationPlan:
        """Return what a migration would do. Changes and records nothing.

        Args:
            deep, left_behind: see ``Carrier.inventory``.
        """
        return make_plan(
            self.records,
            self.means.carriers,
            entries,
            require_sound(self.means.carriers, entries),
            level=level,
            sink=NullSink(),
            deep=deep,
            left_behind=left_behind,
        )

    def require_beginnable(self, entries: Sequence[Entry], *, planned: bool = False) -> None:
        """Check that `begin` would succeed. Changes and records nothing.

        Args:
            planned: `plan` has checked the entries just now.

        Raises:
            Refused: another migration has a target.
            OutOfBounds: an entry is not what the settings name.
            InputError, Refused: see ``Carrier.check``.
        """
        self.means.bounds.require(entries, self.records.id)
        require_free(self.records, entries)
        if not planned:
            require_sound(self.means.carriers, entries)

    def ask(self, entries: Sequence[Entry], level: Level, keys: Sequence[str] = ()) -> str:
        """Record a request for a migration, to be planned by another process. Return the digest for ``asked``.

        The input of an execution is too small for the request, which can name thousands of keys.
        """
        wanted = {
            "entries": [entry_line(entry) for entry in entries],
            "level": level.value,
            "keys": list(keys),
        }
        body = dump(wanted).encode() + b"\n"
        digest = hashlib.sha256(body).hexdigest()[:_DIGEST]
        self.store.put(self.records.asked(digest), body)
        return digest

    def asked(self, digest: str) -> Mapping[str, Any]:
        """Return the request that ``ask`` recorded: ``entries`` (lines), ``level`` and ``keys``.

        Raises:
            WorkFailed: there is no such record.
        """
        name = self.records.asked(digest)
        found = self.store.get_json(name)
        if found is None:
            raise WorkFailed(
                f"The record of what migration {self.records.id} carries is missing.",
                where=self.records.where(name),
                remedy="Run it again with the same id: that writes the record again.",
                error_id="RS-MIGRATION-001",
            )
        return found

    def begin(
        self, entries: Sequence[Entry], level: Level, *, deep: bool = False, asked: Asked = ANYTHING
    ) -> Metadata:
        """Lock the targets and record the plan. A migration that has begun before continues with its plan.

        Args:
            deep: see ``Carrier.inventory``.
            asked: conditions for a new plan. A plan that does not meet them is not recorded.

        Raises:
            Refused: another migration has locked a target, the id is another migration's, or this migration was
                rolled back. Also see ``RequestCheck.require``.
            OutOfBounds: an entry is not among the settings.
            InputError: see ``Carrier.check`` and ``RequestCheck.require``.
        """
        self.means.bounds.require(entries, self.records.id)
        known = self.known(entries)
        if known and known["status"] != "planning":
            return self._again(known)
        with self._leases().alone("plan", self._can_wait) as alone:
            if not alone:
                raise _planned_elsewhere(self.records)
            known = known if self.means.call_seconds is None else self.known(entries)
            if known and known["status"] != "planning":
                return self._again(known)  # the other call has planned it
            return self._begin(known, entries, level, asked, deep=deep)

    def _begin(
        self, known: Metadata | None, entries: Sequence[Entry], level: Level, asked: Asked, *, deep: bool
    ) -> Metadata:
        if known:
            self._forget_stop()  # an earlier planning call was killed
        started = (known or {}).get("started") or self._time()
        metadata = summary.opened(self.records, entries, level, started)
        # The bytes of each call differ, so the etag tells whose summary it is.
        metadata["call"] = uuid.uuid4().hex
        with ThreadPoolExecutor(1, thread_name_prefix="check") as pool:
            # The checks only read, so they run while the summary is written.
            limits = pool.submit(require_sound, self.means.carriers, entries)
            # The summary is written before the lock, so that a lock always names a migration with a summary.
            ours = self.store.put_json(self.records.metadata, metadata)
            try:
                acquire(self.records, entries)
                return self._record_plan(entries, limits.result(), level, metadata, ours, asked, deep=deep)
            except BaseException:
                self._give_up(entries, ours)
                raise

    def known(self, entries: Sequence[Entry]) -> Metadata | None:
        """Return the summary when this migration has begun before, else None.

        Raises:
            Refused: the id belongs to a migration of other entries, or this one was rolled back.
        """
        known = self.store.get_json(self.records.metadata)
        if known:
            summary.require_same(self.records, known, entries)
            self._require_not_taken_back(known)
        return known or None

    def run(self, has_time: Callable[[], bool] = _always, *, batches: int | None = None) -> bool:
        """Run all batches in this process. Return False when time ran out, a stop was asked, or another call runs.

        Args:
            batches: the number of batches in the plan; None: read from the summary.
        """
        if batches is None:
            batches = int(self.metadata().get("batches", 0))
        leases = self._leases()
        # Two calls at once would copy everything twice.
        with leases.alone(_WHOLE, lambda: False) as alone:
            if not alone or (self.means.call_seconds is not None and set(leases.running()) - {_WHOLE}):
                return False
            return self._each(Batch.run, batches, has_time)

    def run_batch(self, batch: int, has_time: Callable[[], bool] = _always) -> BatchAnswer:
        """Run one batch, as the state machine's Lambda does for each line of the manifest.

        Waits while another call runs the same batch. When time runs out first, the answer says ``more``.
        """
        with self._leases().alone(f"{batch:08d}", has_time) as alone:
            if not alone:
                return BatchAnswer(batch, more=True)
            note = progress_writer(self.records, batch, self.means.now, self.means.warn)
            return self._batch(batch, has_time).run(note)

    def finish_unless_stopped(self, *, goes_back: bool = True) -> Metadata | None:
        """``finish``, unless the migration was stopped: then return None."""
        with self._leases().held("finish"):
            if self.store.exists(self.records.stop):
                return None
            return self.finish(goes_back=goes_back)

    def finish(self, *, goes_back: bool = True) -> Metadata:
        """Add up the results. The status is ``completed`` when each item is proven; then the targets are released.

        An incomplete migration keeps its locks until it is continued or rolled back. Otherwise another migration would
        record this one's writes as the earlier state.

        Args:
            goes_back: an incomplete migration is rolled back next. If False, and only items that the plan named as
                conflicts are left, the targets are released too, because a second call could do nothing more.
        """
        metadata = self.metadata()
        if metadata["status"] not in _AT_THE_END:
            metadata |= {**summary.added_up(self.records, metadata), "ended": self._time()}
            self.store.put_json(self.records.metadata, metadata)
        # Also when it ended before: that call may have been killed before the release.
        if _is_done_with_its_targets(metadata, goes_back=goes_back):
            release(self.records, summary.entries_of(metadata))
        return metadata

    def release_targets(self) -> None:
        """Release the targets of an incomplete migration that will not continue. Its copies stay."""
        release(self.records, summary.entries_of(self.metadata()))

    def migrate(self, entries: Sequence[Entry], level: Level = Level.FULL, *, deep: bool = False) -> Metadata:
        """Begin, run and finish in this process."""
        begun = self.begin(entries, level, deep=deep)
        self.run(batches=begun["batches"])
        return self.finish()

    def stop(self) -> None:
        """Tell all workers to start no other batch."""
        # Without a summary there are no workers, and the flag would stop the next migration of this id.
        if self.store.exists(self.records.metadata):
            self.store.put(self.records.stop, b"")

    def require_free(self, after: Collection[str] = ()) -> None:
        """Check that no other migration has locked this one's targets, so that it can be rolled back.

        Args:
            after: migrations that are rolled back, and release their targets, before this one.

        Raises:
            WorkFailed: there is no such migration.
            Refused: another migration has locked a target.
        """
        require_free(self.records, summary.entries_of(self.metadata()), after)

    def rollback(self, reason: str = "", has_time: Callable[[], bool] = _always) -> Metadata:
        """Undo all writes of the migration, also of an unfinished one.

        First stops the copying calls and waits for them, because undo does not see a copy that is still running. When
        time runs out first, the record names these calls under ``waiting``, and the next call continues.

        Raises:
            InputError, WorkFailed: there is no such migration.
            Refused: another migration has locked a target; or a batch cannot be undone, and all others are undone.
            OutOfBounds: the migration wrote to a place that the settings do not name today.
        """
        metadata = self.metadata()
        self.means.bounds.require(summary.entries_of(metadata), self.records.id)
        # Another migration may have recorded our writes as its earlier state.
        acquire(self.records, summary.entries_of(metadata))
        self.stop()
        tally = summary.Tally()
        record = summary.rollback_record(self.records, metadata, reason, self._time())
        # From here on it cannot be resumed: that would delete the stop flag while we wait.
        self.store.create(self.records.rollback, dump(record).encode() + b"\n")
        if waiting := self._still_running(has_time):
            return record | {"waiting": waiting}
        metadata = self.metadata()
        refusals: dict[int, Refused] = {}

        def undo(batch: Batch) -> BatchAnswer:
            """Undo the other batches too when one is refused: its refusal would come back with each call."""
            try:
                return batch.undo()
            except Refused as refusal:
                refusals[batch.number] = refusal
                return BatchAnswer(batch.number)

        finished = self._each(undo, metadata.get("batches", 0), has_time, tally)
        record |= {
            "timestamp": self._time(),
            "status": "completed" if finished and not refusals else "incomplete",
            "counts": tally.counts,
            "conflicts": tally.conflicts,
        }
        self.store.put_json(self.records.rollback, record)
        if finished and refusals:
            raise refusals[min(refusals)]
        if finished:
            metadata |= {"status": "rolled_back", "undo_wrote": tally.wrote}
            self.store.put_json(self.records.metadata, metadata)
            release(self.records, summary.entries_of(metadata))
        return record

    def metadata(self) -> Metadata:
        """Return the migration's summary.

        Raises:
            WorkFailed: there is no such migration.
        """
        metadata = self.store.get_json(self.records.metadata)
        if metadata is None:
            raise WorkFailed(
                f"There is no migration {self.records.id}.",
                where=self.records.where(self.records.metadata),
                remedy="Look in the folder migrations/ of the target's deployment bucket.",
                error_id="RS-MIGRATION-001",
            )
        return metadata

    def _batch(self, number: int, has_time: Callable[[], bool]) -> Batch:
        return Batch(self.records, self.means.carriers, self.means.bounds, number, has_time)

    def _leases(self) -> Leases:
        return Leases(self.records, self.means.now, self.means.call_seconds, self.means.sleep)

    def _can_wait(self) -> bool:
        return self.means.call_seconds is not None and self.means.call_seconds() > _KEPT_FOR_AN_ANSWER

    def _still_running(self, has_time: Callable[[], bool]) -> list[str]:
        """Wait until no call copies any more. Return the calls that still do when time runs out."""
        leases = self._leases()
        while running := leases.running():
            if not has_time():
                break
            self.means.sleep(_LOOK_AGAIN)
        return running

    def _again(self, known: Metadata) -> Metadata:
        if known["status"] == "completed":
            # The call that completed it may have been killed before it released the targets.
            release(self.records, summary.entries_of(known))
            return known
        acquire(self.records, summary.entries_of(known))
        self._forget_stop()
        return known

    def _require_not_taken_back(self, known: Metadata) -> None:
        if known["status"] == "rolled_back" or self.store.exists(self.records.rollback):
            raise Refused(
                f"Migration {self.records.id} was rolled back.",
                where=self.records.where(self.records.rollback),
                remedy="Begin a new one, under another id.",
                error_id="RS-MIGRATION-005",
            )

    def _forget_stop(self) -> None:
        if self.store.exists(self.records.stop):
            self.store.delete(self.records.stop)

    def _record_plan(
        self,
        entries: Sequence[Entry],
        limits: Sequence[Limits],
        level: Level,
        metadata: Metadata,
        ours: str,
        asked: Asked,
        *,
        deep: bool,
    ) -> Metadata:
        seen = RequestCheck(asked)
        with RecordingSink(self.records, level) as sink:
            plan = make_plan(
                self.records,
                self.means.carriers,
                entries,
                limits,
                level=level,
                sink=sink,
                deep=deep,
                watch=seen,
            )
            seen.require(plan)
            sink.close()
        metadata |= {
            "status": "copying",
            "plan": plan.counts,
            "planned_bytes": plan.bytes,
            "batches": plan.batches,
            "undo_until": sorted({part.undo_until for part in plan.entries}),
            "notes": [note for part in plan.entries for note in part.notes],
            "rewritten": sum(part.rewritten for part in plan.entries),
            "entries": [
                {"entry": entry_line(part.entry), "first_batch": part.first_batch, "batches": part.batches}
                for part in plan.entries
            ],
        }
        del metadata["call"]
        if not self.store.replace(self.records.metadata, dump(metadata).encode() + b"\n", ours):
            raise _planned_elsewhere(self.records)
        return metadata

    def _give_up(self, entries: Sequence[Entry], ours: str) -> None:
        """Remove the locks and the summary after planning failed, unless another call has written the summary."""
        found = self.store.look(self.records.metadata)
        if found is not None and found[1] == ours:
            # The locks first: a migration that has locks and no summary could be neither resumed nor rolled back.
            release(self.records, entries)
            self.store.delete(self.records.metadata)

    def _each(
        self, unit: Unit, batches: int, has_time: Callable[[], bool], tally: summary.Tally | None = None
    ) -> bool:
        done = 0
        finished = True

        def one(batch: int) -> BatchAnswer:
            return unit(self._batch(batch, has_time))

        with ThreadPoolExecutor(_BATCHES_AT_ONCE, thread_name_prefix="batch") as pool:
            in_time = takewhile(lambda _: has_time(), range(batches))
            for answer in side_by_side(pool, one, in_time, 2 * _BATCHES_AT_ONCE - 1):
                done += 1
                if tally is not None:
                    tally.answered(answer)
                finished = finished and not answer.more and not answer.stopped
                self.means.watch(Progressed(answer, done, batches))
        return finished and done == batches

    def _time(self) -> str:
        return self.means.now().isoformat(timespec="microseconds")


def _is_done_with_its_targets(metadata: Metadata, *, goes_back: bool) -> bool:
    """Whether it will neither write nor undo anything more at its targets."""
    if metadata["status"] in _AT_THE_END or not metadata["batches"]:
        return True
    return not (goes_back or metadata["problems"] or metadata["batches_missing"])


def _planned_elsewhere(records: MigrationRecords) -> BeingPlanned:
    return BeingPlanned(
        f"Another call is planning migration {records.id}.",
        where=records.metadata,
        remedy="Run it again with the same id when the other call has ended; it then uses that plan.",
    )
