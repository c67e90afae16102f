"""Resources that a killed run made and the state does not know. They are adopted when found, reported when not.

With checkpoints (on AWS) the engine notes every creation before it asks for it. A killed run leaves these notes: the
inputs of each resource, without an id. The ordinary plugin would make a second resource. So the first one is looked for
by its name and tags, put into the state, and read back; the next run finishes it. Offline the provider itself adopts
such resources, and leaves no notes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from regionshift.aws.resource_finders import FINDS, MADE_AGAIN, Look
from regionshift.engine.engine import Engine
from regionshift.engine.state_exclusion import CREATING
from regionshift.operations.environment import Environment
from regionshift.operations.leftovers import Leftover, look_for_tagged
from regionshift.operations.planning import home_of
from regionshift.report.values import Finding
from regionshift.waiting import Waiter


@dataclass(frozen=True)
class Recovered:
    """The fate of the creations that a killed run left open.

    Args:
        taken: {URN: id} of the resources that were found and are now in the state.
        forgotten: URNs of resources that were never made, or that the same put makes again.
        unclear: {URN: why} of resources that a person must look at.
    """

    taken: Mapping[str, str]
    forgotten: tuple[str, ...]
    unclear: Mapping[str, str]

    def findings(self, regions: Collection[str]) -> list[Finding]:
        """Findings on the adopted resources, and on those that a person must look at."""
        taken = [
            Finding(
                "recovered",
                "info",
                f"{_name(urn)} ({identity}) was made by a run that was killed",
                home_of(urn, regions),
                "nothing: it is in the state now, and this run finishes it",
            )
            for urn, identity in self.taken.items()
        ]
        return taken + [
            Finding(
                "orphan",
                "warning",
                f"{_name(urn)} may have been made by a run that was killed: {why}",
                home_of(urn, regions),
                f"look for it; if it is there, `pulumi import {_type(urn)} {_name(urn)} ID` or delete it",
            )
            for urn, why in self.unclear.items()
        ]

    def to_json(self) -> dict[str, object]:
        """For the journal."""
        return {"taken": dict(self.taken), "forgotten": list(self.forgotten), "unclear": dict(self.unclear)}


def recover(environment: Environment) -> Recovered:
    """Adopt the resources of creations that a killed run left open. The caller holds the lock.

    A region that is left out gets no call, so its creations are unclear. Unclear creations stay open, and the next
    recovery looks for them again.

    Raises:
        WorkFailed: AWS or the engine did not answer. Nothing is forgotten, and the recovery can be done again.
    """
    engine = environment.engine
    opened = [op["resource"] for op in _open_creations(engine)]
    if not opened:
        return Recovered({}, (), {})
    engine.release_lock()  # an engine that was killed under its command left it
    known = {str(each["urn"]): each for each in engine.resources() if not each.get("delete")}
    taken: dict[str, str] = {}
    forgotten: list[str] = []
    unclear: dict[str, str] = {}
    waiter = environment.waiter.started()
    for resource in opened:
        urn = str(resource["urn"])
        fate = _fate(environment, resource, known.get(urn), waiter)
        if fate.unclear:
            unclear[urn] = fate.unclear
        elif fate.taken:
            taken[urn] = fate.taken
        else:
            forgotten.append(urn)
    engine.settle_pending(taken, forgotten)
    if taken:
        engine.refresh(_nothing, target=sorted(taken), excluded=environment.excluded)
    return Recovered(taken, tuple(forgotten), unclear)


@dataclass(frozen=True)
class _Fate:
    """The fate of one open creation: its id, or why it is unclear. Neither when it was not made."""

    taken: str | None = None
    unclear: str | None = None


def _fate(
    environment: Environment, resource: Mapping[str, Any], stands: Mapping[str, Any] | None, waiter: Waiter
) -> _Fate:
    """``stands``: the resource in the state, if there is one. ``waiter``: a new resource may not be listed yet."""
    kind, region = str(resource["type"]), _region(environment, resource)
    if region is None:
        return _Fate(unclear="its region gets no call now")
    if environment.excluded.has(str(resource["urn"])):
        return _Fate(unclear="a region that it joins gets no call now")
    if kind in MADE_AGAIN or not kind.startswith("aws:"):
        return _Fate()
    if stands:
        settled = _is_settled(stands)
        return (
            _Fate(str(stands["id"]))
            if settled
            else _Fate(unclear="it was to replace one that is still there")
        )
    if kind not in FINDS:
        return _Fate(unclear="things of this kind are not looked for")
    look = _look(environment, resource, region)
    found = waiter.until(lambda: sorted(set(FINDS[kind](look))), bool)
    if len(found) > 1:
        return _Fate(unclear=f"there are {len(found)} of it: {', '.join(found)}")
    return _Fate(found[0]) if found else _Fate()


def has_unsettled(engine: Engine) -> bool:
    """Whether a creation of an earlier run is still open, as its region got no call."""
    if not engine.keeps_notes:
        return False
    known = {str(resource["urn"]) for resource in engine.resources()}
    return any(str(op["resource"]["urn"]) not in known for op in _open_creations(engine))


def forget_made(environment: Environment) -> None:
    """Forget the open creations whose resource is in the state: a later run made or adopted it.

    Unlike a refresh it calls no region. Creations in a region that is left out stay open: no later run can have made
    them.
    """
    engine = environment.engine
    known = {str(resource["urn"]) for resource in engine.resources() if resource.get("id")}
    reached = (op["resource"] for op in _open_creations(engine) if _region(environment, op["resource"]))
    urns = [str(resource["urn"]) for resource in reached]
    engine.settle_pending({}, [urn for urn in urns if urn in known and not environment.excluded.has(urn)])


def _open_creations(engine: Engine) -> list[dict[str, Any]]:
    return [op for op in engine.pending() if op.get("type") == CREATING]


def _is_settled(resource: Mapping[str, Any]) -> bool:
    """Whether it is in the state as `settle_pending` put it there, without a refresh since."""
    return bool(resource.get("id")) and not resource.get("outputs")


def _nothing() -> None:
    """The program of a refresh, which runs none."""


def _look(environment: Environment, resource: Mapping[str, Any], region: str) -> Look:
    config = environment.config
    owner = {"Project": config.project, "Environment": config.suffix, "Name": _name(resource["urn"])}
    return Look(environment.clients, config.account, region, resource.get("inputs") or {}, owner)


def _region(environment: Environment, resource: Mapping[str, Any]) -> str | None:
    """Its region, by its input or by its provider's name; None when that region may not be called.

    Not by the settings, which do not name a fenced region.
    """
    own = (resource.get("inputs") or {}).get("region")
    provider = str(resource.get("provider") or "").rpartition("::")[0].rpartition("::aws-")[2]
    region = own if isinstance(own, str) else provider or environment.config.regions.primary
    return region if region in environment.regions else None


def look_for_orphans(environment: Environment) -> list[Leftover]:
    """Every resource with the environment's tags that its state does not know, except those that wait for deletion."""
    known: set[str] = set()
    for resource in environment.engine.resources():
        known.add(str(resource.get("id") or ""))
        known.add(str((resource.get("outputs") or {}).get("arn") or ""))
    found = look_for_tagged(environment.clients, environment.config, environment.regions)
    return [left for left in found if left.until is None and not _ids(left.what) & known]


def orphan_findings(environment: Environment) -> list[Finding]:
    """A warning for each of :func:`look_for_orphans`: an `up` would make a second one."""
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


def _ids(arn: str) -> set[str]:
    """The ARN without the `:*` of log groups, and the id at its end."""
    plain = arn.removesuffix(":*")
    return {arn, plain, plain.rsplit("/", 1)[-1], plain.rsplit(":", 1)[-1]}


def _name(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]


def _type(urn: str) -> str:
    return urn.split("::")[2].rsplit("$", 1)[-1]
