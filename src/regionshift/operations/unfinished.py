"""Every run that was begun and not ended, what goes on with it, and ending them all with the environment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from regionshift.errors import Refused
from regionshift.journal.events import RunView
from regionshift.journal.journal import Journal
from regionshift.operations.deploying import left_half_done
from regionshift.releases import deployed_releases
from regionshift.report.values import Finding, Severity, errors_of
from regionshift.runs.deployment_state import DeploymentState, fold_deployment

_RESUME = "regionshift resume, or regionshift resume --back"
DESTROYED = "destroyed"
UNFINISHED = "unfinished"
"""The code of a finding: a run that was begun and not ended."""


@dataclass(frozen=True)
class HalfDone:
    """A run that ended between two releases and says of no region where it is, and the command that mends that."""

    run: str
    kind: str
    outcome: str
    go_on: str


@dataclass(frozen=True)
class OpenRun:
    """A run without an end: its next step, where it stands in words, and the command that goes on with it.

    ``running``: a command that is alive works on it, so there is nothing to go on with.
    """

    run: str
    kind: str
    next: str | None
    at: str
    waits_for_a_person: bool
    go_on: str
    running: bool = False


@dataclass(frozen=True)
class InOneRun:
    """A change of all regions in one run that was stopped, failed or was killed before it was whole.

    Args:
        at: how far it came, in words. releases: the digests that it brought in, to ``regions``; none for a destroy.
        rejoins: the region that it brings back. allows_loss: whether what holds data was allowed to go.
    """

    run: str
    kind: str
    at: str
    releases: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    rejoins: str | None = None
    allows_loss: bool = False


def in_one_run(journal: Journal) -> InOneRun | None:
    """The newest change in one run that is not whole; none when there is none.

    Raises:
        Refused: a newer tool wrote it.
    """
    for view in journal.unfinished():
        if view.kind in ("deployment", "destroy") and "plan" not in view.opened:
            _require_known(view)
            return _in_one_run(view, "was killed")
    half = left_half_done(journal)
    return _in_one_run(journal.view(half.run_id), f"ended as {half.outcome}") if half else None


def _in_one_run(view: RunView, at: str) -> InOneRun:
    found, rejoins = view.opened.get("releases"), view.opened.get("rejoins")
    releases = found if isinstance(found, dict) else {}
    return InOneRun(
        view.run_id,
        view.kind,
        at,
        tuple(releases.values()),
        tuple(releases),
        str(rejoins) if rejoins else None,
        bool(view.opened.get("allows_loss")),
    )


def require_way_back(journal: Journal, left: InOneRun) -> None:
    """Raises Refused, with the nearest that there is, when ``left`` cannot be taken back.

    Back goes only what came up where nothing was: what a change in one run deleted, nobody has any more.
    """
    if left.kind == "deployment" and deployed_releases(journal).is_empty:
        return
    forward = "`regionshift resume` finishes it"
    remedy = {
        "destroy": f"{forward}, or `regionshift up` makes the environment anew",
    }.get(left.kind, f"{forward}; then write the settings as they were, and: regionshift up")
    raise Refused(
        f"The {left.kind} {left.run} went in one run, and what it deleted does not come back.",
        where=left.run,
        remedy=remedy if left.rejoins is None else forward,
    )


def alive_runs(journal: Journal, newest: str | None) -> frozenset[str]:
    """The ids of the runs that a living command works on: its newest, and those that this one is a part of.

    Args:
        newest: the run that the holder of the lock began or went on with last; it may have ended.
    """
    if newest is None:
        return frozenset()
    views = journal.unfinished()
    view: RunView | None = journal.view(newest)
    found = set()
    while view is not None:
        found.add(view.run_id)
        view = _whole_of(view, views)
    return frozenset(found)


def _whole_of(view: RunView, open_now: Sequence[RunView]) -> RunView | None:
    """The open run that ``view`` is a part of.

    While a move is open no other command changes regions or the primary, so what does is part of it. Both name
    their copies after themselves; anybody's migration may run beside one that was stopped.
    """
    if view.of_data:
        name = str(view.opened["migration_id"])
        kinds = ("promotion", "move")
        return next((v for v in open_now if v.kind in kinds and name.startswith(f"{v.run_id}-")), None)
    if view.kind in ("promotion", "deployment"):
        return next((v for v in open_now if v.kind == "move"), None)
    return None


def open_runs(journal: Journal, alive: Collection[str] = ()) -> list[OpenRun]:
    """What stands in the way, the newest first. Migrations are not among it: their own records say how they stand.

    Args:
        alive: see `alive_runs`.
    """
    return [
        replace(_told(journal, view), running=view.run_id in alive)
        for view in journal.unfinished()
        if not view.of_data
    ]


def worked_on(journal: Journal, migrations: Iterable[str], alive: Collection[str]) -> frozenset[str]:
    """Those of ``migrations``, by id, that open runs which are ``alive`` copy or take back.

    A change of primary names its copies after its own run.
    """
    views = [view for view in journal.unfinished() if view.run_id in alive]
    named = {str(view.opened["migration_id"]) for view in views if view.of_data}
    own = tuple(f"{view.run_id}-" for view in views)
    return frozenset(each for each in migrations if each in named or each.startswith(own))


def killed_migrations(journal: Journal) -> frozenset[str]:
    """The ids of migrations whose newest run here, a copying or a taking back, never said how it ended.

    The migration itself may have ended inside AWS meanwhile, which its record says.
    """
    if not any(view.of_data for view in journal.unfinished()):
        return frozenset()  # without reading all that ended
    newest: dict[str, bool] = {}
    for run in journal.history():
        if run.of_data:
            newest.setdefault(run.subject, run.outcome is None)
    return frozenset(migration for migration, is_open in newest.items() if is_open)


def unfinished_findings(journal: Journal, alive: Collection[str] = ()) -> list[Finding]:
    """What an `up` cannot begin beside is an error; a warning, what it goes on with or puts right.

    Args:
        alive: see `alive_runs`; what a living command works on is no finding.
    """
    found = []
    for view in journal.unfinished():
        if view.of_data or view.run_id in alive:
            continue
        told = _told(journal, view)
        blocks = view.newer or view.kind in ("promotion", "move") or "plan" in view.opened
        message = f"{view.kind.capitalize()} {view.run_id} is not finished: {told.at}"
        severity: Severity = "error" if blocks else "warning"
        remedy = "use the newer version of regionshift that wrote it" if view.newer else told.go_on
        found.append(Finding(UNFINISHED, severity, message, None, remedy))
    half = half_done(journal)
    if half is not None:
        message = f"the {half.kind} {half.run} ended as {half.outcome}, between two releases"
        found.append(Finding(UNFINISHED, "warning", message, None, half.go_on))
    return found


def require_finished(journal: Journal) -> None:
    """Raises Refused when a deployment in waves, or a change of primary, is not finished."""
    for finding in errors_of(unfinished_findings(journal)):
        raise Refused(f"{finding.message}.", remedy=finding.remedy)


def half_done(journal: Journal) -> HalfDone | None:
    """What an `up` in one run, or a destroy, left half done; none when the newest change is whole."""
    run = left_half_done(journal)
    if run is None:
        return None
    go_on = _command(journal, journal.view(run.run_id))
    return HalfDone(run.run_id, run.kind, str(run.outcome), go_on)


def require_endable(journal: Journal) -> None:
    """Raises Refused when a newer tool wrote an open run: this one cannot tell what ending it means."""
    for view in journal.unfinished():
        _require_known(view)


def _require_known(view: RunView) -> None:
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
    if ended:
        journal.reopen(but)  # the lock names the run that was opened last
    return ended


def _told(journal: Journal, view: RunView) -> OpenRun:
    if "plan" in view.opened and not view.newer:
        return _deployment(view, fold_deployment(journal.events(view.run_id)))
    doubt = view.in_doubt
    step = doubt[-1].step if doubt else None
    at = f"at {step or 'its end'}"
    return OpenRun(view.run_id, view.kind, step, at, waits_for_a_person=False, go_on=_command(journal, view))


def _deployment(view: RunView, state: DeploymentState) -> OpenRun:
    step = state.next_step
    at = "at its end"
    if step and state.waits:
        at = f"wave {step.wave} ({', '.join(step.regions)}) waits for a person"
    elif step:
        at = f"at {step.name} ({', '.join(step.regions)})"
    return OpenRun(view.run_id, view.kind, step.name if step else None, at, state.waits, _RESUME)


def _command(journal: Journal, view: RunView) -> str:
    if "plan" in view.opened or view.kind in ("promotion", "move"):
        return _RESUME
    if "rejoins" in view.opened:
        return f"regionshift resume, or regionshift up --rejoin {view.opened['rejoins']}"
    if view.kind == "destroy":
        return "regionshift resume, or regionshift destroy"
    return _RESUME if deployed_releases(journal).is_empty else "regionshift resume, or regionshift up"
