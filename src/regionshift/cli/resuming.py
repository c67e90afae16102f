"""`regionshift resume`: go on with whatever was stopped or killed, or take it back, as a person sees it."""

from __future__ import annotations

from regionshift.cli.commands import run_destroy, run_up
from regionshift.cli.deployments import ended, say_what_the_settings_say, verdict
from regionshift.cli.driving import driver
from regionshift.cli.migrations import OpenMigration, open_migration, resume_migration
from regionshift.cli.moving import resume_move
from regionshift.cli.opening import opened
from regionshift.cli.options import Choices
from regionshift.cli.promoting import resume_promotion, run_rejoin
from regionshift.cli.show import console
from regionshift.errors import InputError
from regionshift.journal.events import DECISION
from regionshift.operations import moves
from regionshift.operations.moving import proposing
from regionshift.operations.plan_up import UpOptions
from regionshift.operations.unfinished import InOneRun, in_one_run, require_way_back
from regionshift.operations.waves import deploying
from regionshift.session import Session


def run_resume(choices: Choices, *, back: bool) -> int:
    """Go on with a change that was stopped or killed, or take it back.

    Raises:
        InputError: nothing is unfinished. Refused: there is no way back, or a newer version wrote it.
    """
    with opened(choices, locked=True) as session:
        move = moves.unfinished(session.journal)
        moving = move is not None
        if move is not None and moves.goes_back(session.journal, move):
            back = True  # that was begun
        if back:
            proposing.require_way_back(session.journal)
            if move is not None:
                moves.require_way_back(move, session.environment.config.regions.primary, session.journal)
        # A move goes on with the change of primary that it began; back goes that one first.
        code = None if moving and not back else resume_promotion(choices, session, back=back)
        if code is not None and not (moving and proposing.unfinished(session.journal) is None):
            return code
        if not moving:
            if deploying.unfinished(session.journal):
                return _waves(choices, session, back=back)
            left = in_one_run(session.journal)
            if left is None:
                migration = _open_migration(session)
            elif back:
                require_way_back(session.journal, left)
            else:
                # What was allowed to be lost was allowed for those settings.
                loss = left.allows_loss and set(left.releases) == {session.environment.release().digest}
    if moving:
        return resume_move(choices, back=back, said=code is not None)
    if left is None:
        return resume_migration(choices, migration, back=back)
    return _back_to_nothing(choices, left) if back else _one_run(choices, left, allow_data_loss=loss)


def _waves(choices: Choices, session: Session, *, back: bool) -> int:
    approving = deploying.waiting(session.journal)
    with driver(choices, session, approving=approving) as driving:
        run_id, state = deploying.resume(driving, back=back)
    kind = session.journal.view(run_id).kind
    if not choices.as_json:
        console(choices).print(f"{kind.capitalize()} {run_id}: {verdict(state)}")
    # Who resumes a run that a person turned back asks for the rest of the way back.
    back = back or any(event.step == DECISION for event in session.journal.events(run_id))
    code = ended(choices, session, state, kind, back=back)
    if kind == "rollback":
        say_what_the_settings_say(choices)
    return code


def _open_migration(session: Session) -> OpenMigration:
    found = open_migration(session)
    if found is None:
        raise InputError("Nothing is unfinished.", remedy="`regionshift history` lists what there was")
    return found


def _one_run(choices: Choices, left: InOneRun, *, allow_data_loss: bool) -> int:
    """The command that made it does the rest, by the settings as they are now: it plans, shows and asks."""
    _tell(choices, left, "going on with it by the settings as they are now")
    if left.kind == "destroy":
        return run_destroy(choices)
    if left.rejoins is not None:
        return run_rejoin(choices, left.rejoins)
    return run_up(choices, UpOptions(allow_data_loss=allow_data_loss), check=True)


def _back_to_nothing(choices: Choices, left: InOneRun) -> int:
    """Before it there was nothing, so all that there is goes."""
    _tell(choices, left, "before it nothing was up, so taking it back is to destroy it")
    return run_destroy(choices)


def _tell(choices: Choices, left: InOneRun, what: str) -> None:
    console(choices).print(f"{left.kind.capitalize()} {left.run} {left.at}; {what}.")
