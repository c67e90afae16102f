"""One migration from beginning to end: validate the target, plan, copy inside AWS, prove, report."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from regionshift.carriers.carrier import Entry, Level
from regionshift.carriers.migration import Metadata
from regionshift.carriers.plan import MigrationPlan
from regionshift.errors import InputError, Refused, RegionshiftError
from regionshift.journal.journal import Journal, RunJournal
from regionshift.operations.checks.base import CheckContext, run_checks
from regionshift.operations.checks.replication import Replication
from regionshift.operations.migrations.carrying import Carrying
from regionshift.operations.migrations.entries import entries, require_regions
from regionshift.operations.migrations.progress import Follower, Standing
from regionshift.operations.validate import all_checks
from regionshift.report.values import CheckResult

# USD, us-east-1 (Amazon S3 pricing; AWS Lambda pricing): a copy is a PUT; other regions differ by tenths.
_USD_A_REQUEST = 0.005 / 1000
_USD_A_GB_BETWEEN_REGIONS = 0.02
# Items a second that one state machine reaches at least.
_ITEMS_A_SECOND = {"aws": 2000.0, "local": 150.0}


@dataclass(frozen=True)
class Wanted:
    """What was asked for. Without an id a new migration is made, with one an old one may go on."""

    source: str
    target: str
    level: Level
    migration_id: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Estimate:
    """About how long, how many requests and how much money (USD) a plan takes."""

    seconds: float
    requests: int
    usd: float


@dataclass(frozen=True)
class Report:
    """How a migration ended. Seconds; ``replication_seconds`` is None where nothing replicates there."""

    metadata: Metadata
    seconds: float
    replication_seconds: float | None
    warnings: tuple[str, ...] = ()
    execution: str = ""

    @property
    def completed(self) -> bool:
        """Whether every item is proven at its level."""
        return bool(self.metadata["status"] == "completed")


def want(
    carrying: Carrying, source: str, target: str, *, level: str | None, migration_id: str | None
) -> Wanted:
    """Check what was asked for.

    Raises:
        InputError: a region, the id or the selection is wrong.
    """
    config = carrying.environment.config
    require_regions(config, source, target)
    made = migration_id or f"{carrying.now():%Y%m%d-%H%M%S}-{source}-to-{target}-{uuid.uuid4().hex[:4]}"
    try:
        chosen = Level(level or config.migration.verify)
    except ValueError:
        raise InputError(f"There is no level {level!r}.", where="--level", remedy="pinned or full") from None
    return Wanted(source, target, chosen, made, tuple(entries(config, source, target)))


def plan(carrying: Carrying, wanted: Wanted) -> MigrationPlan:
    """What the migration would do. Changes nothing."""
    return carrying.migrations(wanted.target).plan(wanted.migration_id, wanted.entries, wanted.level)


def estimate(carrying: Carrying, made: MigrationPlan) -> Estimate:
    """About what the plan takes."""
    requests = sum(part.requests for part in made.entries)
    usd = requests * _USD_A_REQUEST + made.bytes / 1e9 * _USD_A_GB_BETWEEN_REGIONS
    return Estimate(made.to_copy / _ITEMS_A_SECOND[carrying.environment.config.target], requests, usd)


@dataclass(frozen=True)
class Validated:
    """The target's checks, all passed, and the replication delay they saw (seconds; None: none there)."""

    results: Sequence[CheckResult]
    replication_seconds: float | None


def require_valid_target(carrying: Carrying, target: str) -> Validated:
    """Ask every check of the target region.

    Raises:
        Refused: one of them is not passed.
    """
    environment = carrying.environment
    context = CheckContext(environment.config, carrying.outputs, environment.clients, environment.now)
    checks = all_checks()
    results = run_checks(checks, context, [target], None)
    failed = [result for result in results if not result.passed]
    if failed:
        first = failed[0]
        raise Refused(
            f"The target does not validate: {first.check}: {first.detail}", where=target, remedy=first.remedy
        )
    arrivals = next((check.arrivals for check in checks if isinstance(check, Replication)), None) or {}
    arrival = arrivals.get(target)
    return Validated(results, arrival.probe if arrival else None)


def migrate(
    carrying: Carrying,
    journal: Journal,
    wanted: Wanted,
    *,
    clock: Callable[[], float],
    replication_seconds: float | None = None,
    tell: Callable[[Standing], None] = lambda _: None,
) -> Report:
    """Run the migration inside AWS and follow it. With a known id it goes on where it was.

    Raises:
        Refused: another migration has the target, or this one was rolled back.
        WorkFailed: the execution failed; the same id goes on.
    """
    began = clock()
    run = journal.start(
        "migration",
        {"migration_id": wanted.migration_id, "source": wanted.source, "target": wanted.target},
    )
    try:
        metadata, execution = _run(carrying, run, wanted, clock, tell)
    except (RegionshiftError, KeyboardInterrupt) as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        if interrupted:
            carrying.migrations(wanted.target).stop(wanted.migration_id)
        run.append("copy", "failed", wanted.target, {"error": str(error)})
        run.close("interrupted" if interrupted else "failed", failed=True)
        raise
    report = _report(carrying, metadata, clock() - began, replication_seconds, execution)
    summary = {"status": metadata["status"], "counts": metadata["counts"], "bytes": metadata["bytes"]}
    run.close(str(metadata["status"]), summary, failed=not report.completed)
    return report


def _run(
    carrying: Carrying,
    run: RunJournal,
    wanted: Wanted,
    clock: Callable[[], float],
    tell: Callable[[Standing], None],
) -> tuple[Metadata, str]:
    migrations = carrying.migrations(wanted.target)
    run.append("plan", "before", wanted.target)
    metadata = migrations.begin(wanted.migration_id, wanted.entries, wanted.level)
    _require_same(metadata, wanted)
    run.append("plan", "after", wanted.target, {"counts": metadata["plan"], "batches": metadata["batches"]})
    if metadata["status"] == "completed":
        return metadata, ""
    if metadata["batches"] == 0:
        return migrations.finish(wanted.migration_id), ""
    of_items = metadata["plan"]["new"] + metadata["plan"]["changed"]
    follower = Follower(
        carrying.records(wanted.target),
        wanted.migration_id,
        metadata["batches"],
        of_items,
        metadata["planned_bytes"],
        clock,
        tell,
    )
    # An execution of a command that was killed copies on; a second one would do everything twice.
    for running in carrying.running(wanted.target, wanted.migration_id):
        carrying.wait(wanted.target, running, follower.look)
    if migrations.metadata(wanted.migration_id)["status"] in ("completed", "rolled_back"):
        return migrations.metadata(wanted.migration_id), ""
    on_failure = carrying.environment.config.migration.on_failure
    execution = carrying.start(wanted.target, "copy", wanted.migration_id, on_failure=on_failure)
    run.append("copy", "before", wanted.target, {"execution": execution})
    carrying.wait(wanted.target, execution, follower.look)
    metadata = migrations.metadata(wanted.migration_id)
    run.append("copy", "after", wanted.target, {"status": metadata["status"], "counts": metadata["counts"]})
    return metadata, execution


def _require_same(metadata: Metadata, wanted: Wanted) -> None:
    found = {
        (part["entry"]["source"]["region"], part["entry"]["target"]["region"]) for part in metadata["entries"]
    }
    if found - {(wanted.source, wanted.target)}:
        raise InputError(
            f"Migration {wanted.migration_id} is another one: {sorted(found)}.",
            where="--id",
            remedy="give another id, or the regions that this one has",
        )


def _report(
    carrying: Carrying, metadata: Metadata, seconds: float, delay: float | None, execution: str
) -> Report:
    recovery = carrying.environment.config.recovery
    warnings = []
    if delay is not None and delay > recovery.rpo:
        warnings.append(f"replication took {delay:.1f} s, the target (RPO) is {recovery.rpo} s")
    if seconds > recovery.rto:
        warnings.append(f"the migration took {seconds:.0f} s, the target (RTO) is {recovery.rto} s")
    return Report(metadata, seconds, delay, tuple(warnings), execution)


def as_json(wanted: Wanted, made: MigrationPlan, about: Estimate) -> Mapping[str, Any]:
    """A plan for pipelines."""
    return {
        "migration_id": wanted.migration_id,
        "source": wanted.source,
        "target": wanted.target,
        "level": made.level.value,
        "counts": made.counts,
        "to_copy": made.to_copy,
        "bytes": made.bytes,
        "batches": made.batches,
        "estimate": {"seconds": about.seconds, "requests": about.requests, "usd": about.usd},
        "entries": [
            {
                "kind": part.entry.kind,
                "source": str(part.entry.source),
                "target": str(part.entry.target),
                "counts": dict(part.counts),
                "bytes": part.bytes,
                "undo_until": part.undo_until,
                "notes": list(part.notes),
            }
            for part in made.entries
        ],
        "conflicts": [{"item": item, "reason": reason} for item, reason in made.conflicts],
    }
