"""What carries the environment's tags and stands in no state: left by a run that was killed while it made it.

The local provider takes such things over by itself. The ordinary plugin does not, so they are told of: nobody
else would ever find them, and some of them cost money.
"""

from __future__ import annotations

from regionshift.operations.environment import Environment
from regionshift.operations.leftovers import Leftover, look_for_tagged
from regionshift.report.values import Finding


def look_for_orphans(environment: Environment) -> list[Leftover]:
    """Everything tagged as the environment's that its state does not know, what waits for deletion left out."""
    known: set[str] = set()
    for resource in environment.engine.resources():
        known.add(str(resource.get("id") or ""))
        known.add(str((resource.get("outputs") or {}).get("arn") or ""))
    found = look_for_tagged(environment.clients, environment.config, environment.regions)
    return [left for left in found if left.until is None and not _names(left.what) & known]


def orphan_findings(environment: Environment) -> list[Finding]:
    """A warning for each of :func:`look_for_orphans`: a second one would be made beside it."""
    return [
        Finding(
            code="orphan",
            severity="warning",
            message=f"{left.what} was made by a run that was killed; the state does not know it",
            region=left.region,
            remedy="delete it, or bring it into the state with `pulumi import`",
        )
        for left in look_for_orphans(environment)
    ]


def _names(arn: str) -> set[str]:
    """An ARN, without the `:*` of log groups, and the id that it ends in."""
    plain = arn.removesuffix(":*")
    return {arn, plain, plain.rsplit("/", 1)[-1], plain.rsplit(":", 1)[-1]}
