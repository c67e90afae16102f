"""A whole migration: plan, copy and prove every batch, finish; go on with it; take it back.

The state machine runs ``run_batch`` for every line of the manifest between ``begin`` and ``finish``;
``run`` does the same right here, which is how the function copies when it is called directly.
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
from regionshift.carriers.batch import Batch, BatchAnswer, Carriers, batch_notes
from regionshift.carriers.bounds import Bounds
from regionshift.carriers.carrier import Entry, Level, Limits
from regionshift.carriers.lines import dump, entry_line
from regionshift.carriers.locks import Leases, acquire, release, require_free
from regionshift.carriers.plan import MigrationPlan, Nowhere, Recorded, make_plan, require_sound
from regionshift.carriers.plan_checks import ANYTHING, Asked, BeingPlanned, Seen, require_same
from regionshift.carriers.records import MigrationRecords, RecordStore
from regionshift.carriers.side_by_side import side_by_side
from regionshift.errors import Refused, WorkFailed

_BATCHES_AT_ONCE = 4
_LOOK_AGAIN = 1.0  # seconds between two looks whether calls are still copying
_KEPT_FOR_AN_ANSWER = 5.0  # seconds of a call that waits for another
_AT_THE_END = ("completed", "rolled_back")
_DIGEST = 32  # characters
_WHOLE = "all"  # the lease of a call that runs every batch

Metadata = summary.Metadata
Unit = Callable[[Batch], BatchAnswer]


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Progressed:
    """Where a run is after one more batch."""

    answer: BatchAnswer
    done: int
    batches: int


@dataclass(frozen=True)
class Migrations:
    """What all migrations into one region work with; ``of`` gives one of them.

    Args:
        store: where their records lie.
        carriers: by kind.
        bounds: what may be touched today, whatever a record names.
        now: the time, with its zone.
        watch: told after each batch.
        call_seconds: how long this call can still take, when another process may take the migration back
            meanwhile: it then waits for us. None: no other process can.
        sleep: waits (seconds).
        warn: told of what went wrong beside the work, which goes on.
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
        """One migration, whether it has begun or not.

        Raises:
            InputError: no migration can have this id.
        """
        return Migration(MigrationRecords(self.store, migration_id), self)


@dataclass(frozen=True)
class Migration:
    """One migration, by its records."""

    records: MigrationRecords
    means: Migrations

    @property
    def store(self) -> RecordStore:
        """Where its records lie."""
        return self.records.store

    @property
    def region(self) -> str:
        """The region that it writes to."""
        return self.records.store.region

    def undone(self) -> Metadata | None:
        """The record of its rollback, once one was begun."""
        return self.store.get_json(self.records.rollback)

    def plan(
        self,
        entries: Sequence[Entry],
        level: Level,
        *,
        deep: bool = False,
        left_behind: bool = True,
    ) -> MigrationPlan:
        """What a migration would do. Nothing is changed, nothing recorded.

        Args:
            deep: also compare tags, checksums and settings of what is the same by its versions.
            left_behind: also ask what is to be written for what is not carried, which only a plan that is shown needs.
        """
        return make_plan(
            self.records,
            self.means.carriers,
            entries,
            require_sound(self.means.carriers, entries),
            level=level,
            sink=Nowhere(),
            deep=deep,
            left_behind=left_behind,
        )

    def require_beginnable(self, entries: Sequence[Entry], *, planned: bool = False) -> None:
        """What `begin` needs, asked beforehand. Nothing is changed, nothing recorded.

        Args:
            planned: `plan` has asked the carriers just now.

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
        """Put on record what `asked` gives whoever plans it elsewhere; gives the digest that names it.

        An execution's input has no room for it: keys that are named one by one are entries' patterns, too.
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
        """``entries`` (lines), ``level`` and ``keys``, as `ask` was given them.

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
        self,
        entries: Sequence[Entry],
        level: Level,
        *,
        deep: bool = False,
        asked: Asked = ANYTHING,
    ) -> Metadata:
        """Take the targets and record the plan; for a known id, go on with the plan it has. ``deep`` as in ``plan``.

        Args:
            asked: what a new plan has to live up to; nothing is kept of one that does not.

        Raises:
            Refused: another migration has the target, the id is another's, or this one was rolled back.
            OutOfBounds: an entry is not what the settings name.
            InputError: see ``Carrier.check``. Both: see ``Seen.require``.
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
                return self._again(known)  # by the call that was waited for
            return self._begin(known, entries, level, asked, deep=deep)

    def _begin(
        self,
        known: Metadata | None,
        entries: Sequence[Entry],
        level: Level,
        asked: Asked,
        *,
        deep: bool,
    ) -> Metadata:
        if known:
            self._forget_stop()  # its planning was killed and begins again
        started = (known or {}).get("started") or self._time()
        metadata = summary.opened(self.records, entries, level, started)
        # No two calls write the same bytes, so that each knows its own by the etag.
        metadata["call"] = uuid.uuid4().hex
        with ThreadPoolExecutor(1, thread_name_prefix="check") as pool:
            # Only asks, so it goes beside what is written meanwhile.
            limits = pool.submit(require_sound, self.means.carriers, entries)
            # On record before the target is taken: the lock of a target always names a migration that has a record.
            ours = self.store.put_json(self.records.metadata, metadata)
            try:
                acquire(self.records, entries)
                return self._record_plan(entries, limits.result(), level, metadata, ours, asked, deep=deep)
            except BaseException:
                self._give_up(entries, ours)
                raise

    def known(self, entries: Sequence[Entry]) -> Metadata | None:
        """The summary of a migration of ``entries`` that began before; None when there is none.

        Raises:
            Refused: the id is another migration's, or this one was rolled back.
        """
        known = self.store.get_json(self.records.metadata)
        if known:
            require_same(self.records, known, entries)
            self._require_not_taken_back(known)
        return known or None

    def run(self, has_time: Callable[[], bool] = _always, *, batches: int | None = None) -> bool:
        """Run every batch here; false when time ran out, a stop was asked for, or another call is at it.

        Args:
            batches: how many the plan has; None: looked up.
        """
        if batches is None:
            batches = int(self.metadata().get("batches", 0))
        leases = self._leases()
        # Two calls side by side would copy everything twice.
        with leases.alone(_WHOLE, lambda: False) as alone:
            if not alone or (self.means.call_seconds is not None and set(leases.running()) - {_WHOLE}):
                return False
            return self._each(Batch.run, batches, has_time)

    def run_batch(self, batch: int, has_time: Callable[[], bool] = _always) -> BatchAnswer:
        """Run one batch: what the state machine's Lambda does for one line of the manifest.

        While another call is at the same batch it waits; when time runs out before that one has ended, or its
        time is over, there is ``more`` to do.
        """
        with self._leases().alone(f"{batch:08d}", has_time) as alone:
            if not alone:
                return BatchAnswer(batch, more=True)
            note = batch_notes(self.records, batch, self.means.now, self.means.warn)
            return self._batch(batch, has_time).run(note)

    def finish_unless_stopped(self, *, goes_back: bool = True) -> Metadata | None:
        """``finish``; None when the migration was stopped, to be resumed later or taken back."""
        with self._leases().held("finish"):
            if self.store.exists(self.records.stop):
                return None
            return self.finish(goes_back=goes_back)

    def finish(self, *, goes_back: bool = True) -> Metadata:
        """Add up the results; ``completed`` only if every item is proven, and then the targets are given back.

        What is incomplete keeps its targets until it is gone on with or taken back: another migration would
        record what this one wrote as its own way back.

        Args:
            goes_back: what is incomplete is taken back next. If not, and nothing is open but what was in
                conflict from the beginning, going on could do no more, and the targets are given back too.
        """
        metadata = self.metadata()
        if metadata["status"] not in _AT_THE_END:
            metadata |= {**summary.added_up(self.records, metadata), "ended": self._time()}
            self.store.put_json(self.records.metadata, metadata)
        # Also when it ended before: that call may have been killed before it released them.
        if _is_done_with_its_targets(metadata, goes_back=goes_back):
            release(self.records, summary.entries_of(metadata))
        return metadata

    def let_go(self) -> None:
        """Release the targets of an incomplete migration that will not be resumed; what it wrote stays."""
        release(self.records, summary.entries_of(self.metadata()))

    def migrate(self, entries: Sequence[Entry], level: Level = Level.FULL, *, deep: bool = False) -> Metadata:
        """All of it, here: begin, run, finish."""
        begun = self.begin(entries, level, deep=deep)
        self.run(batches=begun["batches"])
        return self.finish()

    def stop(self) -> None:
        """Ask every worker to begin no further batch; one that has no plan yet has none."""
        # A flag that outlived its migration would stop the next one of this id before it began.
        if self.store.exists(self.records.metadata):
            self.store.put(self.records.stop, b"")

    def require_free(self, after: Collection[str] = ()) -> None:
        """See that no other migration is working on this one's targets: then it could not be taken back.

        Args:
            after: migrations that are taken back before this one, and give their targets back.

        Raises:
            WorkFailed: there is no such migration.
            Refused: another has one of them.
        """
        require_free(self.records, summary.entries_of(self.metadata()), after)

    def rollback(self, reason: str = "", has_time: Callable[[], bool] = _always) -> Metadata:
        """Take everything back that the migration wrote, however far it came.

        Calls that are copying are stopped and waited for: undo does not see a copy under way. When time runs
        out before they end, the record names them under ``waiting`` and the next call goes on.

        Raises:
            InputError, WorkFailed: there is no such migration.
            Refused: another migration is not done with the same target; or a batch cannot be taken back, and all
                others are.
            OutOfBounds: it wrote where the settings name nothing today.
        """
        metadata = self.metadata()
        self.means.bounds.require(summary.entries_of(metadata), self.records.id)
        # Another migration may have recorded what ours wrote as its own way back.
        acquire(self.records, summary.entries_of(metadata))
        self.stop()
        tally = summary.Tally()
        record = summary.rollback_record(self.records, metadata, reason, self._time())
        # From here on it is not resumed: that would take the stop away while we wait.
        self.store.create(self.records.rollback, dump(record).encode() + b"\n")
        if waiting := self._still_running(has_time):
            return record | {"waiting": waiting}
        metadata = self.metadata()
        refusals: dict[int, Refused] = {}

        def undo(batch: Batch) -> BatchAnswer:
            """No batch waits for another one's refusal, which comes back with each call."""
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
        """The migration's summary.

        Raises:
            WorkFailed: there is none.
        """
        metadata = self.store.get_json(self.records.metadata)
        if metadata is None:
            raise WorkFailed(
                f"There is no migration {self.records.id}.",
                where=self.records.where(self.records.metadata),
                remedy="Look at the folder migrations/ of the target's deployment bucket.",
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
        """Wait until no call is copying any more; those that still are when time runs out."""
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
        seen = Seen(asked)
        with Recorded(self.records, level) as sink:
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
        """Planning failed: nothing was written, so nothing stays behind, but what another call wrote since."""
        found = self.store.look(self.records.metadata)
        if found is not None and found[1] == ours:
            # The targets first: a migration that holds them without a record can be neither resumed nor taken back.
            release(self.records, entries)
            self.store.delete(self.records.metadata)

    def _each(
        self,
        unit: Unit,
        batches: int,
        has_time: Callable[[], bool],
        tally: summary.Tally | None = None,
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
    """Whether it will write nothing more there, and has nothing there that is about to be taken back."""
    if metadata["status"] in _AT_THE_END or not metadata["batches"]:
        return True
    return not (goes_back or metadata["problems"] or metadata["batches_missing"])


def _planned_elsewhere(records: MigrationRecords) -> BeingPlanned:
    return BeingPlanned(
        f"Another call is planning migration {records.id}.",
        where=records.metadata,
        remedy="Run it again with the same id when the other call has ended; it then uses that plan.",
    )
