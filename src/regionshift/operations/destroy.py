"""Destroy an environment, and look that nothing of it is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from regionshift.aws.errors import told_plainly
from regionshift.engine.engine import EngineFailed
from regionshift.engine.events import ResourceStep, region_of
from regionshift.errors import Refused, WorkFailed
from regionshift.journal.identity import forget
from regionshift.journal.journal import Journal
from regionshift.operations.costs import cost_of
from regionshift.operations.deploying import OneGo, end_all, in_one_go, in_one_run, taken_down_by_destroy
from regionshift.operations.emptying import MOST_COUNTED, count_held, empty_all, switch_off, was_refilled
from regionshift.operations.environment import Environment
from regionshift.operations.leftovers import Leftover, look_for_leftovers, still_there
from regionshift.operations.ownership import require_ours
from regionshift.operations.permissions import operator_findings, permission_findings
from regionshift.operations.planning import losses_of, wait_findings
from regionshift.operations.up import PlanRefused
from regionshift.releases import deployed_releases
from regionshift.report.values import Change, Plan, errors_of
from regionshift.runs.messages import AllRegionsNews, RunListener
from regionshift.runs.state import RunStep

# Access logs are delivered late (S3 User Guide, "Logging requests with server access logging": within hours,
# best effort), so an empty bucket may be filled again once or twice. More often means another writer.
_TRIES = 3
Resource = dict[str, Any]
_BUCKET = "aws:s3/bucket:Bucket"
_BUCKETS_AT_ONCE = 8
_HOLDS_DATA = {
    _BUCKET: "buckets",
    "aws:secretsmanager/secret:Secret": "secrets",
    "aws:ssm/parameter:Parameter": "parameters",
    "aws:kms/key:Key": "keys",
    "aws:cloudwatch/logGroup:LogGroup": "log groups",
}
"""The types that are lost with an environment, and their names for people."""


@dataclass(frozen=True)
class Destroyed:
    """The number of deleted resources and object versions, and what AWS keeps for a while, with dates."""

    deleted: int
    emptied: int
    kept: tuple[Leftover, ...]


def require_destroyable(environment: Environment) -> None:
    """Raises Refused when the environment is protected, a region of it is fenced, or the caller is no operator."""
    if environment.scope.fenced:
        fenced = ", ".join(sorted(environment.scope.fenced))
        raise Refused(
            f"{fenced} is fenced and gets no call, so what is there can be neither deleted nor seen to be gone.",
            where=fenced,
            remedy=f"when it is back: regionshift up --rejoin {min(environment.scope.fenced)}, then destroy",
            error_id="RS-REGION-002",
        )
    if environment.config.is_protected:
        raise Refused(
            f"The environment {environment.name} is protected.",
            where="protect",
            remedy="set `protect: false` in the settings and run `regionshift up` before `destroy`",
            error_id="RS-ENVIRONMENT-003",
        )
    for finding in operator_findings(environment):
        # The buckets could not be emptied, after half of the environment is gone.
        raise Refused(
            finding.message, where="access.operators", remedy=finding.remedy, error_id="RS-ENVIRONMENT-004"
        )


def propose_destroy(environment: Environment) -> Plan:
    """The plan that deletes everything. Changes nothing.

    Raises:
        Refused: as :func:`require_destroyable`.
        PlanRefused: the caller may not delete some of it, and would fail half way.
    """
    require_destroyable(environment)
    steps = [
        ResourceStep("delete", each["urn"], each["type"], _region(each), old=each.get("inputs") or {})
        for each in environment.engine.resources()
        if _is_own(each)
    ]
    changes = tuple(Change(each.op, each.type, each.name, each.region, each.urn) for each in steps)
    findings = (*wait_findings(environment, changes), *permission_findings(environment, steps))
    if errors_of(findings):
        raise PlanRefused(findings)
    lost, cost = losses_of(steps), cost_of(steps)
    return Plan(environment.name, environment.regions, changes, findings, losses=lost, cost=cost)


def count_what_goes(environment: Environment, plan: Plan) -> tuple[Counter[str], bool]:
    """How many resources with data ``plan`` deletes, by type; and whether there are more object versions than counted.

    `count_held` limits the count of object versions. Raises AwsFailed when a bucket may not be listed.
    """
    kinds = Counter(_HOLDS_DATA[change.type] for change in plan.changes if change.type in _HOLDS_DATA)
    doomed = {change.urn for change in plan.changes}
    buckets = [
        (_region(each) or "", str(each["id"]))
        for each in environment.engine.resources()
        if each["type"] == _BUCKET and each["urn"] in doomed
    ]
    with ThreadPoolExecutor(max_workers=_BUCKETS_AT_ONCE) as pool:
        held = list(pool.map(lambda bucket: _told(environment, *bucket), buckets))
    kinds["object versions"] = sum(held)
    return kinds, any(count == MOST_COUNTED for count in held)


def _told(environment: Environment, region: str, bucket: str) -> int:
    with told_plainly(region):
        return count_held(environment.clients, region, bucket)


def destroy(
    environment: Environment,
    journal: Journal,
    plan: Plan,
    listeners: Sequence[RunListener[RunStep]] = (),
) -> Destroyed:
    """Delete the environment as one run of the journal, and look that it is gone.

    It closes all open runs, as nothing is left for them to continue. The caller has checked that this version knows
    their kinds (`require_endable`). ``listeners`` get the messages, the topics before they are deleted.

    Raises:
        Refused: the state names a resource that is protected or not ours.
        WorkFailed: something could not be deleted, or is still there. Run it again to continue.
    """
    doomed = _doomed(environment)
    left = in_one_run(journal)
    named = left.regions if left else ()
    there = deployed_releases(journal).regions_up
    # By the plan, not the journal: after a failed destroy the journal names no region.
    found = {change.region for change in plan.changes}
    regions = tuple(region for region in environment.regions if region in found)
    words = AllRegionsNews("destroy", "destroy", regions, len(plan.changes))
    facts = {"resources": len(plan.changes), "regions": list(regions)}
    takes_down = taken_down_by_destroy(journal)
    run = journal.start("destroy", {**facts, "of": takes_down} if takes_down else facts)

    def work() -> Destroyed:
        # From here on the journal says that no region is up, whatever the open runs had begun.
        end_all(journal, but=run.run_id)
        done = _destroy(environment, doomed, named)
        forget(journal.store, environment.config.identity)
        return done

    return in_one_go(journal, run, OneGo(words, there), work, listeners if plan.changes else ())


def _destroy(environment: Environment, doomed: list[Resource], named: Collection[str]) -> Destroyed:
    deleted, emptied, regions = _delete(environment, doomed)
    regions |= {*environment.regions, *named}
    look = partial(look_for_leftovers, environment.clients, environment.config, sorted(regions))
    leftovers = environment.waiter.until(look, lambda found: not still_there(found))
    why = None
    if still_there(leftovers) and environment.config.target == "local":
        # Offline a first `up` writes no checkpoints, as the provider adopts existing resources. After a kill, the
        # state does not know all that it made.
        why = _adopt(environment)
        more, emptied_too, _ = _delete(environment, _doomed(environment))
        deleted, emptied = deleted + more, emptied + emptied_too
        leftovers = environment.waiter.until(look, lambda found: not still_there(found))
    if still := still_there(leftovers):
        shown = ", ".join(f"{left.what} [{left.region}]" for left in still[:5])
        failure = WorkFailed(
            f"{len(still)} resources of {environment.name} are still there: {shown}",
            remedy="delete them by hand, or run `regionshift destroy` again",
            error_id="RS-ENVIRONMENT-007",
        )
        if why:
            failure.add_note(f"bringing them into the state failed: {why.message}")
        raise failure
    environment.engine.remove_stack()
    return Destroyed(deleted, emptied, tuple(leftovers))


def _doomed(environment: Environment) -> list[Resource]:
    """The resources in the state, all of which may be deleted. Changes nothing.

    Raises:
        Refused: one of them is protected, or not this environment's.
    """
    found = [resource for resource in environment.engine.resources() if _is_own(resource)]
    if held := [resource["urn"].rsplit("::", 1)[-1] for resource in found if resource.get("protect")]:
        # Before a bucket is emptied: the engine would refuse these after their data is gone.
        raise Refused(
            f"{len(held)} resources are protected in the engine's state, such as {held[0]}.",
            where="protect",
            remedy="set protect: false and run `regionshift up`, then `regionshift destroy` again",
            error_id="RS-ENVIRONMENT-003",
        )
    require_ours(environment, [(_region(each) or "", each) for each in found])
    return found


def _delete(environment: Environment, doomed: list[Resource]) -> tuple[int, int, set[str]]:
    """Delete ``doomed``. Returns the number of resources and object versions, and the regions."""
    buckets = [
        (_region(resource) or "", resource["id"])
        for resource in doomed
        if resource["type"] == _BUCKET and resource.get("id")
    ]
    for region, bucket in buckets:
        switch_off(environment, region, bucket)
    emptied = 0
    for left in reversed(range(_TRIES)):
        emptied += empty_all(environment, buckets)
        try:
            environment.engine.destroy(_nothing)
            break
        except EngineFailed as error:
            if not left or not was_refilled(error):
                raise
    once = {_region(resource) for resource in doomed}
    return len(doomed), emptied, {region for region in once if region}


def _adopt(environment: Environment) -> EngineFailed | None:
    """Bring existing resources of the environment into the state, by an `up`. Returns the failure, if there was one.

    It needs no checkpoints: after a kill, the next `destroy` adopts all of them again.
    """
    program = environment.program(environment.same_everywhere(environment.release()), links="newest")
    try:
        environment.engine.up(program)
    except EngineFailed as error:
        return error  # adopted resources are deleted all the same; the search for the rest reports this
    return None


def _nothing() -> None:
    """The program of an environment that has nothing in it."""


def _is_own(resource: Resource) -> bool:
    return not resource["type"].startswith(("pulumi:", "regionshift:"))


def _name(resource: Resource) -> str:
    return str(resource["urn"]).rsplit("::", 1)[-1]


def _region(resource: Resource) -> str | None:
    """The resource's region, even if the settings no longer name it."""
    known = {**(resource.get("outputs") or {}), **(resource.get("inputs") or {})}
    return region_of(str(resource["urn"]), known)
