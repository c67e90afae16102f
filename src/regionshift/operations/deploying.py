"""One change of the environment, written down before and after; mending what a killed run left."""

from __future__ import annotations

from regionshift.engine.engine import Listener, RunRecord
from regionshift.errors import Interrupted, RegionshiftError
from regionshift.journal.journal import Journal
from regionshift.operations.environment import Environment
from regionshift.operations.up import Proposal, apply

_STEP = "apply"


def deploy(
    environment: Environment, journal: Journal, proposal: Proposal, listener: Listener | None = None
) -> RunRecord:
    """Apply ``proposal`` as one run of the journal. The caller holds the environment's lock.

    Raises:
        Refused: the plan has findings of severity error; nothing is written.
        WorkFailed, Interrupted: as `apply`; the journal says how it ended.
    """
    if proposal.plan.errors or not proposal.plan.changes:
        return apply(environment, proposal, listener)
    digests = {region: release.digest for region, release in proposal.releases.items()}
    run = journal.start("deployment", {"releases": digests, "changes": len(proposal.plan.changes)})
    run.append(_STEP, "before")
    try:
        record = apply(environment, proposal, listener)
    except RegionshiftError as error:
        run.append(_STEP, "failed", data={"error": error.message})
        run.close("interrupted" if isinstance(error, Interrupted) else "failed", failed=True)
        raise
    run.append(_STEP, "after", data={"steps": len(record.finished)})
    run.close("succeeded")
    return record


def mend(environment: Environment, journal: Journal) -> bool:
    """Take away what a killed run left in the engine's way. Returns whether there was one.

    The caller holds the environment's lock, so a run that never said how it ended is dead, and so is whoever
    held the engine's own lock.
    """
    dead = [view for view in journal.unfinished() if not view.newer]
    if not dead:
        return False
    environment.engine.release_lock()
    for view in dead:
        journal.reopen(view.run_id).close("killed", failed=True)
    return True
