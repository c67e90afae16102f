"""What `status` says beside releases and open runs: how the last change ended, and which alarms are red."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from regionshift.aws.errors import told_plainly
from regionshift.errors import RegionshiftError
from regionshift.journal.events import RunSummary
from regionshift.journal.journal import Journal
from regionshift.journal.lock import Holder, holder_to_json, living_holder
from regionshift.journal.store import StateStore
from regionshift.operations.alarms import MetricsDenied, RedAlarm, red_in, without_data
from regionshift.operations.deploying import HalfDone, half_done
from regionshift.operations.environment import Environment
from regionshift.operations.moving.fencing import with_fenced
from regionshift.operations.run_tools import RunTools
from regionshift.operations.unfinished import (
    OpenRun,
    alive_runs,
    all_migrations,
    changed_by_open_runs,
    open_runs,
    rows_named,
    worked_on,
)
from regionshift.operations.waves.bake import RegionDown, calling
from regionshift.operations.waves.facts import terms_of
from regionshift.releases import deployed_releases
from regionshift.report.values import as_data
from regionshift.runs.deployment_state import Outcome, RegionState
from regionshift.settings.components import REPLICATION_LATENCY_ALARM

_AT_ONCE = 16
_METRICS_BEGIN = timedelta(minutes=15)  # S3 User Guide, "Using S3 Replication metrics"


@dataclass(frozen=True)
class LastChange:
    """The newest finished change, when it did not succeed: how it ended and why, as the journal has it."""

    run: str
    kind: str
    ended: str
    reason: str
    go_on: str = ""


@dataclass(frozen=True)
class Alarms:
    """The alarms that are red, and by region why they could not be read.

    ``silent``: alarms of the replication whose metrics, which S3 tells all the time, have no data. ``unseen``: those
    whose metrics the caller may not read.
    """

    red: tuple[RedAlarm, ...] = ()
    unread: Mapping[str, str] | None = None
    silent: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


def told_outcome(run: RunSummary) -> str:
    """How a run ended, for a person: what was taken back failed, unless taking back was what it was for."""
    outcome = (run.outcome or "not finished").replace("_", " ")
    if outcome != "rolled back":
        return outcome
    if run.kind == "rollback":
        return "succeeded"
    return "taken back as asked" if run.reason.startswith("taken back") else "failed, rolled back"


def last_change(journal: Journal, regions: Mapping[str, RegionState]) -> LastChange | None:
    """The newest change, unless it succeeded or something newer did; of a kind that is not known nobody can tell."""
    for run in journal.history():
        if run.of_data or run.ended is None:
            continue
        well = {row.succeeds_as for row in rows_named(run.kind)}
        if not well or None in well:
            continue
        if run.outcome in well:
            return None
        go_on = ""
        if run.kind == "deployment" and run.outcome == Outcome.STOPPED:
            go_on = (
                f"regionshift up brings every region to the settings; regionshift rollback {run.run_id} "
                "takes it back"
            )
        elif len(releases_among(regions)) > 1:
            go_on = "regionshift up brings every region to the settings"
        return LastChange(run.run_id, run.kind, told_outcome(run), run.reason, go_on)
    return None


def releases_among(regions: Mapping[str, RegionState]) -> dict[str, list[str]]:
    """The releases that regions run now, each with its regions; those that are down or fenced are not counted."""
    found: dict[str, list[str]] = {}
    for region, state in regions.items():
        if state.release is not None and not state.note:
            found.setdefault(state.release, []).append(region)
    return found


def alarms_now(environment: Environment, regions: Collection[str]) -> Alarms:
    """Every alarm of ``regions`` that is red: the environment's, and those that the settings name."""
    watched = terms_of(environment.config).alarms

    def ask(region: str) -> tuple[list[RedAlarm], list[str], list[str]] | str:
        try:
            with told_plainly(region, "alarms"), calling(region):
                red = red_in(environment.clients, environment.called_config, watched, region)
                return red, *_silent(environment, region)
        except RegionDown as error:
            return str(error)
        except RegionshiftError as error:
            return error.message

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = dict(zip(regions, pool.map(ask, regions), strict=True))
    told = [answer for answer in answers.values() if not isinstance(answer, str)]
    return Alarms(
        tuple(alarm for red, _, _ in told for alarm in red),
        {region: answer for region, answer in answers.items() if isinstance(answer, str)},
        tuple(alarm for _, silent, _ in told for alarm in silent),
        tuple(alarm for _, _, unseen in told for alarm in unseen),
    )


def _silent(environment: Environment, region: str) -> tuple[list[str], list[str]]:
    """Alarms of the replication without data, and those of which nobody tells: the embedded AWS has no such metrics."""
    if environment.config.target != "aws":
        return [], []
    now, names = environment.now(), {REPLICATION_LATENCY_ALARM.name(environment.config.names, region)}
    try:
        found = without_data(environment.clients, region, names, now - _METRICS_BEGIN, now)
    except MetricsDenied as denied:
        return [], [f"{name} [{region}]" for name in denied.alarms]
    return [f"{name} [{region}]" for name in found], []


@dataclass(frozen=True)
class StatusReport:
    """How an environment stands.

    Args:
        regions: as finished runs left each, and as far as an open one has changed it. links: the release of the links.
        settled: whether no finished run left a region between two releases. migrations: each as data, with whether a
            living command works on it (``running``). migrations_unread: which cannot be read, and why.
    """

    regions: Mapping[str, RegionState]
    links: str | None
    settled: bool
    unfinished: Sequence[OpenRun]
    half_done: HalfDone | None
    last_change: LastChange | None
    lock: Holder | None
    alarms: Alarms
    migrations: Sequence[Mapping[str, Any]]
    migrations_unread: str

    @property
    def is_changing(self) -> bool:
        """Whether a living command works on it."""
        return any(run.running for run in self.unfinished)

    @property
    def is_well(self) -> bool:
        """Whether all is as it should be.

        What a living command works on is; what lies beside it is not. Nor is a migration whose record cannot be read:
        it may be open.
        """
        whole = self.settled and len(releases_among(self.regions)) < 2 and self.half_done is None
        going = any(
            run.running and row.takes_records for run in self.unfinished for row in rows_named(run.kind)
        )
        return (
            (self.is_changing or whole)
            and all(run.running for run in self.unfinished)
            and not self.alarms.red
            and all(each["settled"] or each["running"] for each in self.migrations)
            and (going or not self.migrations_unread)
        )

    def to_json(self) -> dict[str, Any]:
        """For pipelines."""
        return {
            "regions": {region: asdict(state) for region, state in self.regions.items()},
            "links": self.links,
            "unfinished": as_data(self.unfinished),
            "running": self.is_changing,
            "half_done": asdict(self.half_done) if self.half_done else None,
            "last_change": asdict(self.last_change) if self.last_change else None,
            "lock": holder_to_json(self.lock) if self.lock else None,
            "alarms": [alarm.to_json() for alarm in self.alarms.red],
            "alarms_without_data": list(self.alarms.silent),
            "alarms_with_unread_metrics": list(self.alarms.unseen),
            "alarms_unread": self.alarms.unread or None,
            "migrations": self.migrations,
            "migrations_unread": self.migrations_unread or None,
        }


def status_of(tools: RunTools, store: StateStore, scope: str) -> StatusReport:
    """How the environment stands; asks every region.

    Args:
        store, scope: where its lock is.
    """
    environment, journal = tools.environment, tools.journal
    deployed = with_fenced(deployed_releases(journal), journal)
    regions = regions_now(environment, journal)
    holder = living_holder(store, scope, environment.now())
    alive = alive_runs(journal, holder.run_id if holder else None)
    unfinished, half = open_runs(journal, alive), half_done(journal)
    migrations, unread = all_migrations(tools)
    last = None if half else last_change(journal, regions)
    uncalled = environment.scope.uncalled
    up = [r for r, state in regions.items() if state.release and not state.note and r not in uncalled]
    alarms = alarms_now(environment, up)
    under_way = worked_on(journal, [str(each["migration_id"]) for each in migrations], alive)
    return StatusReport(
        regions,
        deployed.links,
        all(state.settled for state in deployed.regions.values()),
        unfinished,
        half,
        last,
        holder,
        alarms,
        [{**each, "running": each["migration_id"] in under_way} for each in migrations],
        unread,
    )


def regions_now(environment: Environment, journal: Journal) -> dict[str, RegionState]:
    """Every region as the finished runs left it, and as far as an open one has changed it; the primary first.

    A region that is no more in the settings and has nothing is left out.
    """
    found = dict(with_fenced(deployed_releases(journal), journal).regions)
    found |= changed_by_open_runs(journal)
    named = environment.config.all_regions
    gone = {r for r, state in found.items() if r not in named and state.settled and state.release is None}
    return {region: found[region] for region in [*named, *sorted(found)] if region in found.keys() - gone}
