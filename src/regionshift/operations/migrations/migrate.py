"""One migration from beginning to end: validate the target, plan, copy inside AWS, prove, report."""

from __future__ import annotations

import uuid
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from botocore.exceptions import BotoCoreError, ClientError

from regionshift.aws.errors import told_plainly
from regionshift.carriers.carrier import Entry, Level
from regionshift.carriers.migration import Metadata, Migration
from regionshift.carriers.plan import Asked, MigrationPlan
from regionshift.carriers.records import require_id
from regionshift.errors import InputError, Refused, RegionshiftError
from regionshift.journal.events import Event
from regionshift.journal.journal import Journal
from regionshift.operations.checks.base import CheckContext, run_checks
from regionshift.operations.checks.replication import (
    MeasuredRecovery,
    ReplicationCheck,
    delays_into,
    measured,
)
from regionshift.operations.migrations.carrying import Carrying, no_forecast
from regionshift.operations.migrations.entries import entries, require_regions
from regionshift.operations.migrations.progress import Follower, MigrationProgress, Throughput
from regionshift.operations.validate import all_checks
from regionshift.report.values import CheckResult
from regionshift.runs.driver import RunEnd, RunKind, RunUnderWay, Said, WhenFailed, drive
from regionshift.runs.messages import PLAN_STEP, DataNews
from regionshift.runs.state import LookStep, RunStep, SagaState, fold_saga

_ENDS = ("completed", "rolled_back")
_NAMED = 10


@dataclass(frozen=True)
class MigrationRequest:
    """The requested migration. With the id of an open migration, that one continues.

    ``deep``: for items with equal versions, also compare tags, checksums and settings.
    ``confirmed``: the digest of the plan that somebody agreed to. No other plan is begun.
    """

    source: str
    target: str
    level: Level
    migration_id: str
    entries: tuple[Entry, ...]
    deep: bool = False
    confirmed: str | None = None


@dataclass(frozen=True)
class Report:
    """How a migration ended, and its measurements."""

    metadata: Metadata
    recovery: MeasuredRecovery
    execution: str = ""

    @property
    def completed(self) -> bool:
        """Whether every item is proven at its level."""
        return bool(self.metadata["status"] == "completed")


def want(
    carrying: Carrying,
    source: str,
    target: str,
    *,
    level: str | None = None,
    migration_id: str | None = None,
    deep: bool = False,
) -> MigrationRequest:
    """Check the request.

    Raises:
        InputError: a region, the id or the selection is wrong.
    """
    config = carrying.environment.config
    require_regions(config, source, target)
    made = migration_id or f"{carrying.now():%Y%m%d-%H%M%S}-{source}-to-{target}-{uuid.uuid4().hex[:4]}"
    try:
        chosen = Level(level or config.migration.verify)
    except ValueError:
        raise InputError(
            f"There is no level {level!r}.", where="--level", remedy="pinned or full", error_id="RS-USAGE-001"
        ) from None
    return MigrationRequest(
        source, target, chosen, require_id(made), tuple(entries(config, source, target)), deep
    )


def plan(carrying: Carrying, wanted: MigrationRequest) -> MigrationPlan:
    """The plan of the migration. Changes nothing."""
    with told_plainly(wanted.target):
        return carrying.migration(wanted.target, wanted.migration_id).plan(
            wanted.entries, wanted.level, deep=wanted.deep
        )


@dataclass(frozen=True)
class Validated:
    """The target's checks, all passed, and the measured replication delays (see `MeasuredRecovery`)."""

    results: Sequence[CheckResult]
    delays: Mapping[str, float | None]


def require_valid_target(carrying: Carrying, target: str) -> Validated:
    """Make every check in the target region.

    Raises:
        Refused: a check failed.
    """
    environment = carrying.environment
    context = CheckContext.of(environment, environment.config, carrying.outputs)
    checks = all_checks()
    results = run_checks(checks, context, [target], None)
    failed = [result for result in results if not result.passed]
    if failed:
        first = failed[0]
        raise Refused(
            f"The target region fails a check: {first.check}: {first.detail}",
            where=target,
            remedy=first.remedy,
            error_id="RS-MIGRATION-014",
        )
    replication = next(check for check in checks if isinstance(check, ReplicationCheck))
    return Validated(results, delays_into(replication, context, target))


def migrate(
    carrying: Carrying,
    journal: Journal,
    wanted: MigrationRequest,
    *,
    clock: Callable[[], float],
    delays: Mapping[str, float | None] | None = None,
) -> Report:
    """Run the migration inside AWS and follow it. With a known id it continues where it was.

    Raises:
        Refused: another migration has the target, or this one was rolled back.
        WorkFailed: the execution failed. The same id continues.
    """
    began = clock()
    opened = {"migration_id": wanted.migration_id, "source": wanted.source, "target": wanted.target}
    run = journal.start("migration", opened)

    def recovery() -> MeasuredRecovery:
        return measured(carrying.environment.config, clock() - began, delays or {})

    kind = MigrationRun(carrying, wanted.migration_id, wanted.target, wanted, clock, recovery)
    drive(RunUnderWay(journal, run, kind, carrying.listeners))
    return kind.report


@dataclass
class DataRun(RunKind[SagaState, RunStep]):
    """The state of a run of data in this command.

    Args:
        region: the target. changes: there is something to change.
        handed_over: the state machine runs it, and sends the message of its end.
        ended: the outcome, when it ended here. Only ``completed`` is a success.
        counts: what must be done, and at the end what was done.
    """

    carrying: Carrying
    migration_id: str
    region: str
    changes: bool = field(default=False, init=False)
    handed_over: bool = field(default=False, init=False)
    ended: str = field(default="", init=False)
    counts: Mapping[str, int] = field(default_factory=dict, init=False)

    event: ClassVar[str]
    when_failed: ClassVar[WhenFailed] = WhenFailed.CLOSE

    @property
    @abstractmethod
    def steps(self) -> tuple[RunStep, ...]:
        """The steps that are known so far."""

    @property
    def event_region(self) -> str:
        """See `RunKind`."""
        return self.region

    @property
    def news(self) -> DataNews:
        """See `RunKind`."""
        is_open = self.changes and not self.handed_over
        return DataNews(
            self.event, self.migration_id, self.region, is_open=is_open, ended=self.ended, counts=self.counts
        )

    def state(self, events: Sequence[Event]) -> SagaState:
        """See `RunKind`."""
        return fold_saga(self.steps, events[1:])

    def told_regions(self, state: SagaState) -> tuple[str, ...]:
        """The one that is written to."""
        del state
        return (self.region,)

    def why(self, error: BaseException) -> str:
        """See `RunKind`."""
        return "it was interrupted" if isinstance(error, KeyboardInterrupt) else super().why(error)


_PLAN = LookStep(PLAN_STEP, reversible=False, meaning="find what must be copied")
_COPY = RunStep("copy", reversible=False, meaning="copy the items, and prove each copy")


@dataclass
class MigrationRun(DataRun):
    """A migration: it is planned, then the state machine copies, and this follows. ``report``: set at its end."""

    wanted: MigrationRequest
    clock: Callable[[], float]
    recovery: Callable[[], MeasuredRecovery]
    report: Report = field(init=False)
    _metadata: Metadata = field(default_factory=dict, init=False)
    _execution: str = field(default="", init=False)
    _taken_back: Mapping[str, int] = field(default_factory=dict, init=False)

    event: ClassVar[str] = "migrate"

    @property
    def steps(self) -> tuple[RunStep, ...]:
        """See `RunKind`. Without anything to copy there is no copy step."""
        is_done = self._metadata and not self.changes
        steps = (_PLAN,) if is_done else (_PLAN, _COPY)
        return tuple(replace(step, regions=(self.region,)) for step in steps)

    def do(self, step: RunStep, state: SagaState, *, doubt: bool) -> Said:
        """See `RunKind`."""
        del state, doubt
        migration = self.carrying.migration(self.region, self.migration_id)
        try:
            with told_plainly(self.region):
                return self._plan(migration) if step.name == _PLAN.name else self._copy(migration)
        except KeyboardInterrupt as stopped:
            try:
                migration.stop()
            except (RegionshiftError, ClientError, BotoCoreError) as second:
                stopped.add_note(f"and then: {second}")
            raise

    def _plan(self, migration: Migration) -> Said:
        wanted = self.wanted
        ended = _ended_by_itself(self.carrying, wanted, self.clock)
        if ended is None:
            # With conflicts it would not complete, and would then be undone.
            asked = Asked(confirmed=wanted.confirmed, conflicts=self._on_failure != "rollback")
            ended = migration.begin(wanted.entries, wanted.level, deep=wanted.deep, asked=asked)
            self.counts = ended["plan"]
        self._metadata = ended
        self.changes = ended["status"] not in _ENDS
        return {"counts": ended["plan"], "batches": ended["batches"]}

    def _copy(self, migration: Migration) -> Said:
        carrying, metadata = self.carrying, self._metadata
        execution, pace = "", Throughput()
        if metadata["batches"] == 0:
            metadata = migration.finish()
            self.ended, self.counts = metadata["status"], metadata["counts"]
        else:
            follower = _follower(carrying, migration, metadata, self.clock, pace)
            follower.look()  # items of an earlier run do not count in the rate
            workers = carrying.workers(self.region).number
            execution = carrying.start(migration, "copy", on_failure=self._on_failure, workers=workers)
            self.handed_over = True
            carrying.wait(migration, execution, follower.look)
            metadata = migration.metadata()
        self._metadata, self._execution = metadata, execution
        if metadata["status"] == "rolled_back":
            self._taken_back = (migration.undone() or {}).get("counts", {})
        said = {"status": metadata["status"], "counts": metadata["counts"], "execution": execution}
        return {**said, "throughput": pace.points}

    def end(self, state: SagaState) -> RunEnd:
        """See `RunKind`. The result has the counts and the measurements."""
        del state
        metadata, recovery = self._metadata, self.recovery()
        self.report = Report(metadata, recovery, self._execution)
        summary = {
            "status": metadata["status"],
            "counts": metadata["counts"],
            "bytes": metadata["bytes"],
            "recovery": recovery.as_json,
            "taken_back": dict(self._taken_back),
            "unproven": _named(metadata),
        }
        return RunEnd(str(metadata["status"]), summary, failed=not self.report.completed)

    @property
    def _on_failure(self) -> str:
        return self.carrying.environment.config.migration.on_failure


def _named(metadata: Metadata) -> list[dict[str, str]]:
    """The first items that were not copied or proven, and why. The migration's record has all of them."""
    found = [*metadata.get("problems", ()), *metadata.get("conflicts", ())]
    return [
        {"item": str(each.get("item", each["key"])), "reason": str(each["reason"])} for each in found[:_NAMED]
    ]


def _ended_by_itself(
    carrying: Carrying, wanted: MigrationRequest, clock: Callable[[], float]
) -> Metadata | None:
    """Wait for an execution that an earlier command left running. Returns the summary when it ended the migration.

    The execution of a killed command copies on, and a second one beside it would do everything twice. A stopped one
    skips the rest. If the stop were forgotten, it would count the rest as missing and undo everything.
    """
    migration = carrying.migration(wanted.target, wanted.migration_id)
    known = migration.known(wanted.entries)
    running = carrying.running(migration) if known is not None else ()
    if known is None or not running:
        return None
    look = _follower(carrying, migration, known, clock, Throughput()).look if "plan" in known else no_forecast
    look()
    for execution in running:
        carrying.wait_for_end(wanted.target, execution, look)
    metadata = migration.metadata()
    return metadata if metadata["status"] in _ENDS else None


def _follower(
    carrying: Carrying, migration: Migration, metadata: Metadata, clock: Callable[[], float], pace: Throughput
) -> Follower:
    def tell(at: MigrationProgress) -> None:
        pace.note(at)
        for listener in carrying.listeners:
            listener.on_work(at.in_words(migration.region))

    return Follower(
        migration.records,
        metadata["batches"],
        metadata["plan"]["new"] + metadata["plan"]["changed"],
        metadata["planned_bytes"],
        clock,
        tell,
    )
