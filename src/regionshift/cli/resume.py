"""`regionshift resume`: continue or undo a run that was stopped or killed, as a person sees it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from regionshift.cli.destroy import run_destroy
from regionshift.cli.migrate import resume_migration
from regionshift.cli.move import run_move, stop_move
from regionshift.cli.opening import opened, tools_of
from regionshift.cli.options import Choices
from regionshift.cli.promote import run_rejoin
from regionshift.cli.rollback import say_what_the_settings_say
from regionshift.cli.running import resume_steps
from regionshift.cli.show import aside, console, print_json
from regionshift.cli.up import handing_over, resume_waves, run_up
from regionshift.errors import EXIT_FAILED, EXIT_OK, InputError, Refused
from regionshift.journal.events import RunView
from regionshift.journal.journal import Journal
from regionshift.operations import moves
from regionshift.operations.deploying import InOneRun, in_one_run, require_way_back, was_taken_down
from regionshift.operations.plan_up import UpOptions
from regionshift.operations.unfinished import RunRow, open_migration, open_to_resume
from regionshift.operations.waves import deploying
from regionshift.runs.deployment_state import Outcome
from regionshift.session import Session

Resumed = int | Callable[[], int]
"""The exit code, or a function that returns it after the session of `resume` is closed."""


def run_resume(choices: Choices, *, back: bool, run: str | None = None, hand_over: Path | None = None) -> int:
    """Continue or undo a run that was stopped or killed.

    Args:
        run: the only run to continue or undo, so that a pipeline's job that runs twice undoes no other run.
        hand_over: see `handing_over`. Then nobody has seen the wave that waits now, so no wave is approved; use
            `run_wave` for that.

    Raises:
        InputError: no run is open.
        Refused: the run cannot be undone, a newer version wrote it, or another run than ``run`` is open.
    """
    with opened(choices, locked=True) as session:
        found, waits = open_to_resume(session.journal), deploying.waiting(session.journal)
        if run is not None:
            view, left = session.journal.view(run), in_one_run(session.journal)
            is_left = left is not None and view.run_id in (left.run, left.takes_down)
            if view.outcome is not None and not is_left:
                return _was_ended(choices, session.journal, view, back=back)
            _require_run(found, left, view.run_id)
        # A person who resumes at a terminal has seen what waits.
        approving = deploying.approval_of(waits.wave) if waits and hand_over is None else None

        def go() -> Resumed:
            if found:
                return _open(choices, session, found, approving=approving, back=back)
            return _ended(choices, session, back=back)

        done = handing_over(choices, session, hand_over, go)
    return done() if callable(done) else done


def run_wave(choices: Choices, run: str, wave: int, hand_over: Path | None) -> int:
    """Continue the deployment ``run``, whose ``wave`` a person has approved, and no other: for a job of a pipeline.

    A job that runs twice approves nothing else: finished waves stay as they are, and a later wave keeps waiting.

    Raises:
        InputError: there is no such run. Refused: it is no open deployment, or waits for an earlier wave.
    """
    with opened(choices, locked=True) as session:
        found = open_to_resume(session.journal)
        whole = found[0][1] if found else None
        view = session.journal.view(run)
        if view.outcome is not None:
            return _was_ended(choices, session.journal, view)
        if whole is None or whole.run_id != view.run_id or found[0][0].name != "waves":
            raise Refused(
                f"{view.run_id} is not a deployment in waves, so no single wave of it can be approved.",
                where="--run",
                remedy="`regionshift status` names what is unfinished, and the command that continues it",
                error_id="RS-RUN-011",
            )
        go = partial(_waves, choices, session, approving=deploying.approval_of(wave), back=False)
        return handing_over(choices, session, hand_over, go, after=wave)


def _require_run(found: list[tuple[RunRow, RunView]], left: InOneRun | None, run: str) -> None:
    meant = found[0][1].run_id if found else left.run if left else None
    takes_down = left.takes_down if left and left.run == meant else meant
    if run not in (meant, takes_down):
        raise Refused(
            f"{run} is not the run that --back would roll back; that is {meant or 'a migration, if any'}.",
            where="--run",
            remedy="`regionshift status` names the open run and the next command",
            error_id="RS-RUN-011",
        )


def _was_ended(choices: Choices, journal: Journal, view: RunView, *, back: bool = False) -> int:
    """Show how a run ended, for a job that runs again after its end."""
    if choices.as_json:
        print_json({"run": view.run_id, "outcome": view.outcome})
    else:
        console(choices).print(f"{view.kind.capitalize()} {view.run_id} has ended: {view.outcome}")
    if back:
        is_back = view.outcome == Outcome.ROLLED_BACK or was_taken_down(journal, view.run_id)
        return EXIT_OK if is_back else EXIT_FAILED
    return EXIT_OK if view.outcome == Outcome.SUCCEEDED else EXIT_FAILED


def _open(
    choices: Choices,
    session: Session,
    found: list[tuple[RunRow, RunView]],
    *,
    approving: str | None,
    back: bool,
) -> Resumed:
    """Forward: the whole run, with the rest of its parts. Back: first the parts that can be undone alone.

    The new region of a move stays; the next `up` finishes a half-created one.
    """
    journal, primary = session.journal, session.environment.config.regions.primary
    whole, view = found[0]
    back = back or whole.goes_back(journal, view)
    if not back:
        return _resumed(choices, session, whole, view, approving=approving, back=False)
    parts_first = [*(each for each in found[:0:-1] if each[0].run is not None), found[0]]
    for row, each in parts_first:
        row.require_way_back(journal, each, primary)
    for number, (row, each) in enumerate(parts_first):
        done = _resumed(choices, session, row, each, approving=approving, back=True, part_done=number > 0)
        is_open = any(left.run_id == each.run_id for left in journal.unfinished())
        if callable(done) or is_open:
            break
    return done


def _resumed(
    choices: Choices,
    session: Session,
    row: RunRow,
    view: RunView,
    *,
    approving: str | None,
    back: bool,
    part_done: bool = False,
) -> Resumed:
    if row.run is not None:
        return resume_steps(choices, session, row, view, back=back)
    match row.name:
        case "waves":
            return _waves(choices, session, approving=approving, back=back)
        case "move" if back:
            return partial(stop_move, choices, quiet=part_done)
        case "move":
            return partial(run_move, choices, *moves.ends_of(view), retire=False, allow_data_loss=False)
    return _ended(choices, session, back=back)


def _ended(choices: Choices, session: Session, *, back: bool) -> Resumed:
    """Continue or roll back an unfinished change in one run, or a migration."""
    left = in_one_run(session.journal)
    if left is None:
        migration = open_migration(tools_of(choices, session))
        if migration is None:
            raise InputError(
                "Nothing is unfinished.",
                remedy="`regionshift history` lists what there was",
                error_id="RS-RUN-002",
            )
        return partial(resume_migration, choices, migration, back=back)
    if back and not left.takes_down:
        require_way_back(session.journal, left)
        return partial(_back_to_nothing, choices, left)
    # What was allowed counts only for the settings that it was allowed for.
    same = set(left.releases) == {session.environment.release().digest}
    return partial(_one_run, choices, left, UpOptions(same and left.allows_loss, was_begun=same))


def _waves(choices: Choices, session: Session, *, approving: str | None, back: bool) -> int:
    code, kind = resume_waves(choices, session, approving=approving, back=back)
    if kind == "rollback":
        say_what_the_settings_say(choices)
    return code


def _one_run(choices: Choices, left: InOneRun, options: UpOptions) -> int:
    """Run the command that began it, with the settings as they are now: it plans, shows and asks."""
    _tell(choices, left, "continuing with the current settings")
    if left.kind == "destroy":
        return run_destroy(choices)
    if left.rejoins is not None:
        return run_rejoin(choices, left.rejoins)
    return run_up(choices, options, check=True)


def _back_to_nothing(choices: Choices, left: InOneRun) -> int:
    """Delete the environment: nothing existed before this run."""
    _tell(choices, left, "nothing existed before it, so to undo it is to destroy the environment")
    return run_destroy(choices)


def _tell(choices: Choices, left: InOneRun, what: str) -> None:
    aside(choices).print(f"{left.kind.capitalize()} {left.run} {left.at}; {what}.")
