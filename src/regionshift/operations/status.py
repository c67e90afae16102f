"""The report of `status`: the state of each region, each problem with its time, and the command that fixes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from regionshift.infrastructure.runbooks import runbook_of
from regionshift.journal.events import RunSummary
from regionshift.journal.journal import Journal
from regionshift.journal.lock import Holder, holder_to_json, living_holder
from regionshift.journal.store import StateStore
from regionshift.operations.checks.last import LastChecks, last_checks
from regionshift.operations.deploying import HalfDone, half_done
from regionshift.operations.environment import Environment
from regionshift.operations.moving.fencing import is_fenced, is_half_fenced, with_fenced
from regionshift.operations.run_tools import RunTools
from regionshift.operations.signals import ReplicationNow, Signals, signals_of
from regionshift.operations.unfinished import (
    OpenRun,
    alive_runs,
    all_migrations,
    changed_by_open_runs,
    open_runs,
    rows_named,
    went_well,
    worked_on,
)
from regionshift.releases import deployed_releases
from regionshift.report.terminal import instant, short
from regionshift.report.values import as_data
from regionshift.runs.deployment_state import DOWN, Outcome, RegionState
from regionshift.settings.config import MigrationConfig

ProblemKind = Literal[
    "silent region", "red alarm", "failed check", "unsettled region", "fenced region", "down region",
    "unfinished run", "half-done run", "second release", "open migration", "unread migration", "late replication",
]  # fmt: skip


@dataclass(frozen=True)
class LastChange:
    """The newest finished change: who made it, how it ended and why, by the journal.

    ``go_on``: the next command when it did not succeed.
    """

    run: str
    kind: str
    ended: str
    reason: str
    go_on: str = ""
    by: str = ""
    at: datetime | None = None
    succeeded: bool = False

    def to_json(self) -> dict[str, Any]:
        """For pipelines."""
        return {**asdict(self), "at": self.at.isoformat() if self.at else None}


@dataclass(frozen=True)
class StatusProblem:
    """One problem: a sentence, and the command or the sentence that says what to do, or nothing."""

    kind: ProblemKind
    what: str
    go_on: str = ""


def told_outcome(run: RunSummary) -> str:
    """How a run ended, for people. A run that was rolled back has failed, unless it is a rollback."""
    outcome = (run.outcome or "not finished").replace("_", " ")
    if outcome != "rolled back":
        return outcome
    if run.kind == "rollback":
        return "succeeded"
    return "rolled back as asked" if run.reason.startswith("taken back") else "failed, rolled back"


def last_change(journal: Journal, regions: Mapping[str, RegionState]) -> LastChange | None:
    """The newest change that has ended. Kinds that this version does not know are left out."""
    for run in journal.history():
        if run.of_data or run.ended is None:
            continue
        succeeded, go_on = went_well(run), ""
        if succeeded is None:
            continue
        if run.kind == "deployment" and run.outcome == Outcome.STOPPED:
            go_on = (
                f"regionshift up brings every region to the settings; regionshift rollback {run.run_id} "
                "rolls it back"
            )
        elif not succeeded and len(releases_among(regions)) > 1:
            go_on = "regionshift up brings every region to the settings"
        ended = told_outcome(run)
        return LastChange(run.run_id, run.kind, ended, run.reason, go_on, run.by, run.ended, succeeded)
    return None


def releases_among(regions: Mapping[str, RegionState]) -> dict[str, list[str]]:
    """The releases that regions run now, each with its regions. Without regions that are down or fenced."""
    found: dict[str, list[str]] = {}
    for region, state in regions.items():
        if state.release is not None and not state.note:
            found.setdefault(state.release, []).append(region)
    return found


@dataclass(frozen=True)
class EnvironmentSeen:
    """The environment, and when it was looked at. ``rpo``: seconds that its replication may be late."""

    name: str
    account: str
    target: str
    primary: str
    rpo: float
    at: datetime

    @classmethod
    def of(cls, config: MigrationConfig, primary: str, at: datetime) -> EnvironmentSeen:
        """From its settings. ``primary`` may differ from theirs until the next `up`."""
        return cls(config.suffix, config.account, config.target, primary, config.recovery.rpo, at)


@dataclass(frozen=True)
class StatusReport:
    """The state of an environment.

    Args:
        regions: as finished runs left them, with the changes of open runs. links: the release of the links.
        migrations: each as data; ``running`` says whether a living command works on it.
        migrations_unread: which cannot be read, and why.
        checks: the last checks of each region that still runs the release that was checked.
    """

    place: EnvironmentSeen
    regions: Mapping[str, RegionState]
    links: str | None = None
    unfinished: Sequence[OpenRun] = ()
    half_done: HalfDone | None = None
    last_change: LastChange | None = None
    lock: Holder | None = None
    signals: Signals = field(default_factory=Signals)
    migrations: Sequence[Mapping[str, Any]] = ()
    migrations_unread: str = ""
    checks: Mapping[str, LastChecks] = field(default_factory=dict)

    @property
    def is_changing(self) -> bool:
        """Whether a living command works on it."""
        return any(run.running for run in self.unfinished)

    @property
    def is_well(self) -> bool:
        """Whether there is no problem.

        A run that a living command works on is no problem. Another open run is one, and so is a migration whose record
        cannot be read, as it may be open.
        """
        return not self.problems

    @property
    def problems(self) -> tuple[StatusProblem, ...]:
        """All problems, the most urgent first."""
        return tuple(self._problems())

    @property
    def next_command(self) -> str:
        """The next command; empty when there is nothing to do, or a living command does it."""
        commands = (problem.go_on for problem in self.problems if problem.go_on)
        nothing_up = not any(state.release for state in self.regions.values())
        return next(commands, "regionshift up" if nothing_up and not self.is_changing else "")

    def replication(self, region: str) -> ReplicationNow | None:
        """How far a region is behind, by CloudWatch now, or else by its last checks."""
        if found := self.signals.replication.get(region):
            return found
        checks = self.checks.get(region)
        if checks is None or checks.replication_seconds is None:
            return None
        return ReplicationNow(checks.replication_seconds, None, None, checks.at, "validate")

    def health(self, region: str) -> str:
        """The health of one region, in a few words."""
        state, signals = self.regions[region], self.signals
        if state.note:
            shut = "NOT SHUT" if is_half_fenced(state) else "fenced" if is_fenced(state) else ""
            return shut or state.note.partition(":")[0]
        if not state.settled:
            return "changing" if self.is_changing else "between"
        if region in signals.away:
            return "no answer"
        red = sum(alarm.region == region for alarm in signals.red)
        failed = len(self.checks[region].failed) if region in self.checks else 0
        parts = [f"{red} red"] if red else []
        parts += [f"{failed} failed"] if failed else []
        if not parts and region in signals.unread:
            return "not known"
        return ", ".join(parts) or ("well" if state.release else "nothing")

    def _problems(self) -> Iterator[StatusProblem]:
        yield from self._told_by_regions()
        if not self.is_changing:
            yield from self._unsettled()
        yield from self._open_runs()
        if not self.is_changing:
            yield from self._half_done()
        yield from self._open_migrations()
        yield from self._late()

    def _told_by_regions(self) -> Iterator[StatusProblem]:
        for region, why in self.signals.away.items():
            said = why.removeprefix(f"{region} does not answer: ")
            yield StatusProblem("silent region", f"{region} does not answer: {said}", self._around(region))
        for alarm in self.signals.red:
            said = f"{alarm} is in ALARM since {instant(alarm.since)}"
            # An alarm of the user's own has no runbook.
            go_on = f"explain {alarm.name}" if runbook_of(alarm.name) else f"validate --region {alarm.region}"
            yield StatusProblem("red alarm", said, f"regionshift {go_on}")
        for region, checks in self.checks.items():
            for each in checks.failed:
                said = f"{each.check} [{region}] failed at {instant(checks.at)}: {each.detail}"
                yield StatusProblem(
                    "failed check", said, each.remedy or f"regionshift validate --region {region}"
                )

    def _open_runs(self) -> Iterator[StatusProblem]:
        for run in self.unfinished:
            if not run.running:
                said = f"The {run.kind} {run.run} is not finished: {run.at}"
                yield StatusProblem("unfinished run", said, run.go_on)

    def _half_done(self) -> Iterator[StatusProblem]:
        if half := self.half_done:
            said = f"The {half.kind} {half.run} ended half way ({half.outcome})"
            is_first = not releases_among(self.regions)
            left = "the environment is not complete" if is_first else "regions may be between two releases"
            yield StatusProblem("half-done run", f"{said}: {left}", half.go_on)
        found = releases_among(self.regions)
        if len(found) > 1:
            each_of = "; ".join(f"{short(digest)} in {', '.join(where)}" for digest, where in found.items())
            go_on = (self.last_change.go_on if self.last_change else "") or "regionshift up"
            yield StatusProblem("second release", f"Regions run {len(found)} releases: {each_of}", go_on)

    def _open_migrations(self) -> Iterator[StatusProblem]:
        for migration in self.migrations:
            if not migration["settled"] and not migration.get("running"):
                name = migration["migration_id"]
                yield StatusProblem(
                    "open migration", f"Migration {name} is not finished", f"regionshift status {name}"
                )
        rows = (row for run in self.unfinished if run.running for row in rows_named(run.kind))
        if self.migrations_unread and not any(row.takes_records for row in rows):
            yield StatusProblem("unread migration", self.migrations_unread, "regionshift validate")

    def _late(self) -> Iterator[StatusProblem]:
        for region, behind in self.signals.replication.items():
            if behind.seconds is not None and behind.seconds > self.place.rpo:
                said = f"{region} is {behind.seconds:.0f} s behind {self.place.primary}"
                said += f"; the target (RPO) is {self.place.rpo:.0f} s"
                yield StatusProblem("late replication", said, f"regionshift validate --region {region}")

    def _unsettled(self) -> Iterator[StatusProblem]:
        for region, state in self.regions.items():
            if state.settled:
                continue
            if is_fenced(state):
                # Shutting it is urgent: it may be back at any moment.
                go_on = "regionshift up" if is_half_fenced(state) else f"regionshift up --rejoin {region}"
                yield StatusProblem("fenced region", f"{region}: {state.note}", go_on)
            elif state.note == DOWN:
                said = f"{region} was down in the last change and is left behind"
                yield StatusProblem("down region", said, "regionshift up")
            else:
                said = f"{region}: {state.note}" if state.note else f"{region} is between two releases"
                # The run that left it so is a problem with a command of its own.
                told = self.unfinished or self.half_done
                yield StatusProblem("unsettled region", said, "" if told else "regionshift up")

    def _around(self, region: str) -> str:
        if region != self.place.primary:
            return f"regionshift up --skip-region {region} changes the others without it"
        others = [each for each, state in self.regions.items() if each != region and state.release]
        return f"if it is lost: regionshift promote {others[0]} --source-lost" if others else ""

    def to_json(self) -> dict[str, Any]:
        """For pipelines."""
        signals = self.signals
        return {
            "environment": self.place.name,
            "account": self.place.account,
            "target": self.place.target,
            "primary": self.place.primary,
            "at": self.place.at.isoformat(),
            "well": self.is_well,
            "problems": [asdict(problem) for problem in self.problems],
            "next": self.next_command or None,
            "regions": {region: asdict(state) for region, state in self.regions.items()},
            "health": {region: self._health_as_json(region) for region in self.regions},
            "links": self.links,
            "unfinished": as_data(self.unfinished),
            "running": self.is_changing,
            "half_done": asdict(self.half_done) if self.half_done else None,
            "last_change": self.last_change.to_json() if self.last_change else None,
            "lock": holder_to_json(self.lock) if self.lock else None,
            "alarms": [alarm.to_json() for alarm in signals.red],
            "alarms_without_data": list(signals.silent),
            "alarms_with_unread_metrics": list(signals.unseen),
            "alarms_unread": {**signals.unread, **signals.away} or None,
            "replication_unread": signals.unmeasured or None,
            "migrations": self.migrations,
            "migrations_unread": self.migrations_unread or None,
        }

    def _health_as_json(self, region: str) -> dict[str, Any]:
        checks, replication = self.checks.get(region), self.replication(region)
        return {
            "role": "primary" if region == self.place.primary else "secondary",
            "health": self.health(region),
            "answers": region not in self.signals.away,
            "alarms": [alarm.to_json() for alarm in self.signals.red if alarm.region == region],
            "checks": checks.to_json() if checks else None,
            "replication": replication.to_json() if replication else None,
        }


def verdict_of(problems: Sequence[StatusProblem]) -> str:
    """The number of problems of each kind, in a line; empty when there are none."""
    return ", ".join(_counted(number, kind) for kind, number in Counter(p.kind for p in problems).items())


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def status_of(tools: RunTools, store: StateStore, scope: str) -> StatusReport:
    """Ask every region, and report the state of the environment.

    Args:
        store, scope: where its lock is.
    """
    environment, journal = tools.environment, tools.journal.as_it_stands()
    tools = replace(tools, journal=journal)
    deployed = with_fenced(deployed_releases(journal), journal)
    regions = regions_now(environment, journal)
    holder = living_holder(store, scope, environment.now())
    alive = alive_runs(journal, holder.run_id if holder else None)
    uncalled = environment.scope.uncalled
    up = [r for r, state in regions.items() if state.release and not state.note and r not in uncalled]
    known = tools.catalog.known_regions(deployed.links) if deployed.links else None
    linked = known or environment.config.regions
    signals = signals_of(environment, up, linked)
    migrations, unread = all_migrations(tools, without=signals.away)
    under_way = worked_on(journal, [str(each["migration_id"]) for each in migrations], alive)
    checks = last_checks(journal, regions)
    return StatusReport(
        EnvironmentSeen.of(environment.config, linked.primary, environment.now()),
        regions,
        deployed.links,
        open_runs(journal, alive),
        half_done(journal),
        last_change(journal, regions),
        holder,
        signals,
        [{**each, "running": each["migration_id"] in under_way} for each in migrations],
        unread,
        {r: checks[r] for r in regions if r in checks and checks[r].release == regions[r].release},
    )


def regions_now(environment: Environment, journal: Journal) -> dict[str, RegionState]:
    """Every region as finished runs left it, with the changes of open runs. The primary of the settings comes first.

    Leaves out regions that are not up and no longer in the settings.
    """
    found = dict(with_fenced(deployed_releases(journal), journal).regions)
    found |= changed_by_open_runs(journal)
    named = environment.config.all_regions
    gone = {r for r, state in found.items() if r not in named and state.settled and state.release is None}
    return {region: found[region] for region in [*named, *sorted(found)] if region in found.keys() - gone}
