"""A change of primary that stands in the way of taking an older deployment back."""

from __future__ import annotations

from regionshift.journal.journal import Journal
from regionshift.operations.moving.fencing import fenced_regions
from regionshift.operations.moving.plan import promotion_from_json
from regionshift.releases.deployed import DeployedReleases


def rollback_obstacle(journal: Journal, deployed: DeployedReleases, run_id: str) -> str | None:
    """What to do when the primary was changed after the deployment ``run_id``; None when it was not.

    Every change of primary is a release of its own, so the deployment can be taken back once it is turned back.
    """
    for run in journal.history():
        if run.run_id == run_id:
            return None
        if run.kind == "promotion" and run.outcome == "promoted":
            plan = promotion_from_json(journal.view(run.run_id).opened.get("promotion"))
            if plan.old in fenced_regions(journal):
                first = f"regionshift up --rejoin {plan.old}, then regionshift promote {plan.old}"
            elif plan.old in deployed.releases:
                first = f"regionshift promote {plan.old}"
            else:
                return (
                    f"{plan.old}, the primary of then, is retired: change the settings, then: regionshift up"
                )
            return f"turn the change of primary ({run.run_id}) back first: {first}"
    return None
