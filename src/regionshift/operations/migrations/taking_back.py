"""Undo a migration inside AWS, with a result for each item."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from regionshift.aws.errors import told_plainly
from regionshift.carriers.migration import Metadata
from regionshift.carriers.summary import entries_of
from regionshift.errors import InputError, WorkFailed
from regionshift.function.request import LONGEST_TEXT
from regionshift.journal.journal import Journal
from regionshift.operations.migrations.carrying import Carrying, no_forecast
from regionshift.operations.migrations.migrate import DataRun
from regionshift.runs.driver import RunEnd, RunUnderWay, Said, drive
from regionshift.runs.state import RunStep, SagaState


@dataclass(frozen=True)
class TakenBack:
    """``record``: ``rollbacks/{id}/rollback.json``. ``seconds``: how long it took."""

    region: str
    record: Metadata
    seconds: float

    @property
    def whole(self) -> bool:
        """Whether every item is as it was before: the undo is done, without conflicts."""
        return self.record["status"] == "completed" and not self.record["conflicts"]

    @property
    def as_json(self) -> Metadata:
        """The record, and how long it took."""
        return {**self.record, "seconds": self.seconds}


def require_takeable(carrying: Carrying, migration_id: str, after: Collection[str] = ()) -> str:
    """Check what :func:`take_back` needs. Changes nothing. Returns the target region.

    Args:
        after: migrations that are undone before this one.

    Raises:
        WorkFailed: there is no such migration.
        Refused: another migration with the same target is not finished.
        Unsealed, OutOfBounds: the record is not ours, or the settings do not name what it wrote.
    """
    region, metadata = carrying.find(migration_id)
    migration = carrying.migration(region, migration_id)
    migration.means.bounds.require(entries_of(metadata), migration_id)
    migration.require_free(after)
    return region


def require_all_takeable(carrying: Carrying, migrations: Sequence[str]) -> None:
    """The same for several migrations that are undone one after the other. Raises as :func:`require_takeable`."""
    for number, migration_id in enumerate(migrations):
        require_takeable(carrying, migration_id, after=migrations[:number])


def take_back(
    carrying: Carrying, journal: Journal, migration_id: str, reason: str, *, clock: Callable[[], float]
) -> TakenBack:
    """Undo a migration, however far it came. Doing it again changes nothing.

    Raises:
        InputError: the reason is too long to be recorded.
        WorkFailed: the execution failed.
        RegionshiftError: as :func:`require_takeable`.
    """
    if len(reason.encode()) > LONGEST_TEXT:
        raise InputError(
            f"The reason has {len(reason.encode()):,} bytes; up to {LONGEST_TEXT:,} are taken.",
            where="--reason",
            remedy="Give a shorter one.",
            error_id="RS-USAGE-001",
        )
    began = clock()
    region = require_takeable(carrying, migration_id)
    run = journal.start("rollback", {"migration_id": migration_id, "reason": reason})
    kind = UndoRun(carrying, migration_id, region, reason)
    drive(RunUnderWay(journal, run, kind, carrying.listeners))
    return TakenBack(region, kind.record, clock() - began)


@dataclass
class UndoRun(DataRun):
    """The undo of a migration. ``record``: see `TakenBack`; set at its end."""

    reason: str
    record: Metadata = field(default_factory=dict, init=False)

    event: ClassVar[str] = "rollback"

    def __post_init__(self) -> None:
        self.changes = True

    @property
    def steps(self) -> tuple[RunStep, ...]:
        """See `RunKind`."""
        return (RunStep("undo", reversible=False, regions=(self.region,), meaning="undo what was copied"),)

    def do(self, step: RunStep, state: SagaState, *, doubt: bool) -> Said:
        """See `RunKind`."""
        del step, state, doubt
        carrying, migration = self.carrying, self.carrying.migration(self.region, self.migration_id)
        with told_plainly(self.region):
            # The undo does not see running copies, so the copying must end first.
            carrying.stop(migration)
            execution = carrying.start(migration, "undo", reason=self.reason)
            self.handed_over = True
            carrying.wait(migration, execution, no_forecast)
            record = migration.undone()
            if record is None:
                raise WorkFailed("The rollback left no record.", where=execution, error_id="RS-MIGRATION-002")
        self.record = record
        return self._counts

    def end(self, state: SagaState) -> RunEnd:
        """See `RunKind`."""
        del state
        whole = TakenBack(self.region, self.record, 0.0).whole
        return RunEnd("rolled_back" if whole else "conflicts", self._counts, failed=not whole)

    @property
    def _counts(self) -> Said:
        return {"counts": self.record["counts"], "conflicts": len(self.record["conflicts"])}
