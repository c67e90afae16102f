"""What `status` says beside releases and open runs: how the last change ended, and which alarms are red."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from regionshift.aws.errors import told_plainly
from regionshift.errors import RegionshiftError
from regionshift.journal.events import RunSummary
from regionshift.journal.journal import Journal
from regionshift.operations.alarms import RedAlarm, red_in, without_data
from regionshift.operations.environment import Environment
from regionshift.operations.unfinished import RUN_KINDS
from regionshift.operations.waves.bake import RegionDown, calling
from regionshift.operations.waves.facts import terms_of
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

    ``silent``: alarms of the replication whose metrics, which S3 tells all the time, have no data.
    """

    red: tuple[RedAlarm, ...] = ()
    unread: Mapping[str, str] | None = None
    silent: tuple[str, ...] = ()


def told_outcome(run: RunSummary) -> str:
    """How a run ended, for a person: what was taken back failed, unless taking back was what it was for."""
    outcome = (run.outcome or "not finished").replace("_", " ")
    if outcome != "rolled back":
        return outcome
    if run.kind == "rollback":
        return "succeeded"
    return "taken back as asked" if run.reason.startswith("taken back") else "failed, rolled back"


def last_change(journal: Journal, regions: Mapping[str, RegionState]) -> LastChange | None:
    """The newest deployment or way back, unless it succeeded or something newer did."""
    for run in journal.history():
        if run.of_data or run.ended is None:
            continue
        well = {row.succeeds_as for row in RUN_KINDS if run.kind in row.kinds}
        if None in well:
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

    def ask(region: str) -> tuple[list[RedAlarm], list[str]] | str:
        try:
            with told_plainly(region, "alarms"), calling(region):
                red = red_in(environment.clients, environment.called_config, watched, region)
                return red, _silent(environment, region)
        except RegionDown as error:
            return str(error)
        except RegionshiftError as error:
            return error.message

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = dict(zip(regions, pool.map(ask, regions), strict=True))
    told = [answer for answer in answers.values() if not isinstance(answer, str)]
    return Alarms(
        tuple(alarm for red, _ in told for alarm in red),
        {region: answer for region, answer in answers.items() if isinstance(answer, str)},
        tuple(alarm for _, silent in told for alarm in silent),
    )


def _silent(environment: Environment, region: str) -> list[str]:
    """The embedded AWS has no metrics of a replication."""
    if environment.config.target != "aws":
        return []
    now, names = environment.now(), {REPLICATION_LATENCY_ALARM.name(environment.config.names, region)}
    found = without_data(environment.clients, region, names, now - _METRICS_BEGIN, now)
    return [f"{name} [{region}]" for name in found]
