"""What a killed run made and the state does not know: taken over where it is found, told of where it is not.

The engine notes every creation before it asks for it, where it writes checkpoints (on AWS it does). A run that is
killed leaves those notes: what each was to be, without an id. The ordinary plugin would make a second one, so the
first is looked for by its name and tags, gets its place in the state, and is read back; the run that follows
finishes it. Offline the provider itself adopts what was lost, and no note is ever left.
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
    """What became of the creations that a killed run left open.

    Args:
        taken: {URN: id} of what was found, and is in the state now.
        forgotten: URNs of what was never made, or is made again by the same put.
        unclear: URNs that only a person can tell about, and why.
    """

    taken: Mapping[str, str]
    forgotten: tuple[str, ...]
    unclear: Mapping[str, str]

    def findings(self, regions: Collection[str]) -> list[Finding]:
        """For a person: what was taken over, and what is to be looked at."""
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
    """Bring into the state what a killed run made of the creations it left open. The caller holds the lock.

    Nothing of a region that is left out is looked at: it is told as unclear. What is unclear stays open, and is looked
    for again by whoever recovers next.

    Raises:
        WorkFailed: AWS or the engine did not answer; nothing is forgotten, and it can be done again.
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
    """What became of one open creation: the id of what was made, or why that is unclear; neither when it is not."""

    taken: str | None = None
    unclear: str | None = None


def _fate(
    environment: Environment, resource: Mapping[str, Any], stands: Mapping[str, Any] | None, waiter: Waiter
) -> _Fate:
    """``stands``: what the state has in its place. ``waiter``: what was just made may not be listed yet."""
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
    """Whether an earlier run's note is kept, of a creation that the state does not know: its region got no call."""
    if not engine.keeps_notes:
        return False
    known = {str(resource["urn"]) for resource in engine.resources()}
    return any(str(op["resource"]["urn"]) not in known for op in _open_creations(engine))


def forget_made(environment: Environment) -> None:
    """Forget the open creations whose resource is in the state by now: a later run made it or took it over.

    Unlike a refresh it reads nothing back, so no region gets a call. What was to be made in a region that is left
    out stays open: no later run can have made it.
    """
    engine = environment.engine
    known = {str(resource["urn"]) for resource in engine.resources() if resource.get("id")}
    reached = (op["resource"] for op in _open_creations(engine) if _region(environment, op["resource"]))
    urns = [str(resource["urn"]) for resource in reached]
    engine.settle_pending({}, [urn for urn in urns if urn in known and not environment.excluded.has(urn)])


def _open_creations(engine: Engine) -> list[dict[str, Any]]:
    return [op for op in engine.pending() if op.get("type") == CREATING]


def _is_settled(resource: Mapping[str, Any]) -> bool:
    """Whether it is in the state as `settle_pending` put it there, and was not read back yet."""
    return bool(resource.get("id")) and not resource.get("outputs")


def _nothing() -> None:
    """The program of a refresh, which runs none."""


def _look(environment: Environment, resource: Mapping[str, Any], region: str) -> Look:
    config = environment.config
    owner = {"Project": config.project, "Environment": config.suffix, "Name": _name(resource["urn"])}
    return Look(environment.clients, config.account, region, resource.get("inputs") or {}, owner)


def _region(environment: Environment, resource: Mapping[str, Any]) -> str | None:
    """Where it lives, by its input or by its provider's name; None when no call may go there.

    The settings are not asked: they do not name a region that is fenced.
    """
    own = (resource.get("inputs") or {}).get("region")
    provider = str(resource.get("provider") or "").rpartition("::")[0].rpartition("::aws-")[2]
    region = own if isinstance(own, str) else provider or environment.config.regions.primary
    return region if region in environment.regions else None


def look_for_orphans(environment: Environment) -> list[Leftover]:
    """Everything tagged as the environment's that its state does not know, what waits for deletion left out."""
    known: set[str] = set()
    for resource in environment.engine.resources():
        known.add(str(resource.get("id") or ""))
        known.add(str((resource.get("outputs") or {}).get("arn") or ""))
    found = look_for_tagged(environment.clients, environment.config, environment.regions)
    return [left for left in found if left.until is None and not _ids(left.what) & known]


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


def _ids(arn: str) -> set[str]:
    """An ARN, without the `:*` of log groups, and the id that it ends in."""
    plain = arn.removesuffix(":*")
    return {arn, plain, plain.rsplit("/", 1)[-1], plain.rsplit(":", 1)[-1]}


def _name(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]


def _type(urn: str) -> str:
    return urn.split("::")[2].rsplit("$", 1)[-1]
