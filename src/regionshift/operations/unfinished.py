"""Every run that was begun and not ended, what goes on with it, and ending them all with the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regionshift.deployment.state import DeploymentState, fold_deployment
from regionshift.errors import Refused
from regionshift.journal.events import RunView
from regionshift.journal.journal import Journal
from regionshift.operations.deploying import left_half_done

_RESUME = "regionshift resume, or regionshift resume --back"
DESTROYED = "destroyed"


@dataclass(frozen=True)
class HalfDone:
    """A run that ended between two releases and says of no region where it is, and the command that mends that."""

    run: str
    kind: str
    outcome: str
    go_on: str


@dataclass(frozen=True)
class OpenRun:
    """A run without an end: its next step, where it stands in words, and the command that goes on with it."""

    run: str
    kind: str
    next: str | None
    at: str
    waits_for_a_person: bool
    go_on: str


def open_runs(journal: Journal) -> list[OpenRun]:
    """What stands in the way, the newest first. Migrations are not among it: their own records say how they stand."""
    return [_told(journal, view) for view in journal.unfinished() if "migration_id" not in view.opened]


def half_done(journal: Journal) -> HalfDone | None:
    """What an `up` in one run, or a destroy, left half done; none when the newest change is whole."""
    run = left_half_done(journal)
    if run is None:
        return None
    go_on = "regionshift destroy" if run.kind == "destroy" else "regionshift up"
    return HalfDone(run.run_id, run.kind, str(run.outcome), go_on)


def require_endable(journal: Journal) -> None:
    """Raises Refused when a newer tool wrote an open run: this one cannot tell what ending it means."""
    for view in journal.unfinished():
        if view.newer:
            raise Refused(
                f"Run {view.run_id} is not finished, and a newer version of regionshift wrote it.",
                where=view.run_id,
                remedy="use that version",
            )


def end_all(journal: Journal, *, but: str) -> list[str]:
    """Close every open run but one as destroyed: what it was about is going. Gives their ids."""
    ended = [view.run_id for view in journal.unfinished() if view.run_id != but]
    for run_id in ended:
        journal.reopen(run_id).close(DESTROYED, {"by": but}, failed=True)
    return ended


def _told(journal: Journal, view: RunView) -> OpenRun:
    if "plan" in view.opened and not view.newer:
        return _deployment(view, fold_deployment(journal.events(view.run_id)))
    doubt = view.in_doubt
    step = doubt[-1].step if doubt else None
    go_on = _RESUME if "plan" in view.opened else _command(view.kind, view.opened)
    return OpenRun(
        view.run_id, view.kind, step, f"at {step or 'its end'}", waits_for_a_person=False, go_on=go_on
    )


def _deployment(view: RunView, state: DeploymentState) -> OpenRun:
    step = state.next_step
    at = "at its end"
    if step and state.waits:
        at = f"wave {step.wave} ({', '.join(step.regions)}) waits for a person"
    elif step:
        at = f"at {step.name} ({', '.join(step.regions)})"
    return OpenRun(view.run_id, view.kind, step.name if step else None, at, state.waits, _RESUME)


def _command(kind: str, opened: Mapping[str, object]) -> str:
    if kind in ("promotion", "move"):
        return _RESUME
    if "rejoins" in opened:
        return f"regionshift up --rejoin {opened['rejoins']}"
    return "regionshift destroy" if kind == "destroy" else "regionshift up"
