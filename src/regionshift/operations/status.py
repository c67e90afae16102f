"""What `status` says beside releases and open runs: how the last change ended, and which alarms are red."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from regionshift.aws.errors import told_plainly
from regionshift.errors import RegionshiftError
from regionshift.journal.events import RunSummary
from regionshift.journal.journal import Journal
from regionshift.operations.alarms import RedAlarm, red_in
from regionshift.operations.environment import Environment
from regionshift.operations.unfinished import RUN_KINDS
from regionshift.operations.waves.bake import RegionDown, calling
from regionshift.operations.waves.facts import terms_of
from regionshift.runs.deployment_state import Outcome, RegionState

_AT_ONCE = 16


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
    """The alarms that are red, and by region why they could not be read."""

    red: tuple[RedAlarm, ...] = ()
    unread: Mapping[str, str] | None = None


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

    def ask(region: str) -> list[RedAlarm] | str:
        try:
            with told_plainly(region, "alarms"), calling(region):
                return red_in(environment.clients, environment.called_config, watched, region)
        except RegionDown as error:
            return str(error)
        except RegionshiftError as error:
            return error.message

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = dict(zip(regions, pool.map(ask, regions), strict=True))
    red = tuple(alarm for answer in answers.values() if not isinstance(answer, str) for alarm in answer)
    return Alarms(red, {region: answer for region, answer in answers.items() if isinstance(answer, str)})
