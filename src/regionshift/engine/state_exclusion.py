"""Taking a part out of the state for some engine runs, and putting it back as it was.

The engine configures the provider of whatever stands in its state, targeted or not, in the program or not
(pulumi 3.200, `SameStep.Apply` and `Registry.Same`), and the AWS provider asks its region's STS when it is
configured. A region that must get no call is therefore out of the state while the engine runs. What was taken
out is durable before it is gone, and whoever uses the state next puts it back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

_STACK = "pulumi:pulumi:Stack"
CREATING = "creating"
"""What the engine calls the operation in the note of a creation, which a killed run leaves in the state."""


@dataclass(frozen=True)
class StateExclusion:
    """What a run is not to know of.

    Args:
        resources: patterns of URNs (``*`` stands for any text).
        outputs: endings of the names of the stack's outputs.
    """

    resources: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.resources or self.outputs)

    def has(self, urn: str) -> bool:
        """Whether a resource is meant."""
        return any(fnmatchcase(urn, pattern) for pattern in self.resources)


NOTHING = StateExclusion()


class ExclusionStore(Protocol):
    """A place beside the state for what is taken out of it; durable when `write` returns."""

    def read(self) -> bytes | None: ...
    def write(self, body: bytes) -> None: ...
    def clear(self) -> None: ...


@dataclass(frozen=True)
class Kept:
    """What was taken out, as the engine's export has it (secrets encrypted).

    Args:
        pending: notes of creations that were left open; they may outlive all else that was taken out.
    """

    resources: list[dict[str, Any]]
    pending: list[dict[str, Any]]
    outputs: dict[str, Any]

    @property
    def leaves_a_gap(self) -> bool:
        """Whether the state is not whole without it; it is without the notes."""
        return bool(self.resources or self.outputs)

    def to_bytes(self) -> bytes:
        """As a slot keeps it."""
        return json.dumps(vars(self)).encode()


def _kept_from(body: bytes) -> Kept:
    """What :meth:`Kept.to_bytes` wrote."""
    return Kept(**json.loads(body))


def _notes_alone(notes: list[dict[str, Any]]) -> Kept:
    return Kept([], notes, {})


class ExcludedState:
    """What is out of the state now, and how that is changed: durable in ``slot`` before it leaves the state.

    Notes of open creations leave the state with the first write, whatever it is for (pulumi 3.200, `stack import`),
    so they go to the slot as well, and stay there until they are settled.

    Args:
        export, put: read and write the whole state, as `pulumi stack export` has it.
    """

    def __init__(
        self,
        slot: ExclusionStore,
        export: Callable[[], dict[str, Any]],
        put: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._slot = slot
        self._export = export
        self._put = put
        # None: it is not known, as an earlier process may have left something in the slot.
        self.now: StateExclusion | None = None

    def exclude(self, excluded: StateExclusion) -> None:
        """Have out of the state what is ``excluded``, and nothing else."""
        if self.now == excluded:
            return
        if (kept := self._kept()).leaves_a_gap:
            self._put_back(kept)
        self.now = NOTHING
        if excluded:
            self._take_out(excluded)

    def deployment(self) -> dict[str, Any]:
        """The whole state, what is out of it and its notes included. Writes nothing."""
        kept = self._kept()  # read first: what is put back in between is then in both
        deployment = dict(self._export().get("deployment") or {})
        put_back(deployment, kept)
        return deployment

    def settle(self, made: Mapping[str, str], never_made: Collection[str]) -> None:
        """Say of open creations how they ended, as :func:`settle` has it."""
        self.exclude(NOTHING)
        exported = self._export()
        deployment = _deployment(exported)
        put_back(deployment, self._kept())
        notes = _notes(deployment)
        settle(deployment, made, never_made)
        self._write(exported, _notes_alone(notes), _notes_alone(_notes(deployment)))

    def forget(self) -> None:
        """Nothing stands any more: empty the slot."""
        self._slot.clear()
        self.now = None

    @property
    def keeps_notes(self) -> bool:
        """Whether the slot has notes of open creations."""
        return bool(self._kept().pending)

    def _kept(self) -> Kept:
        body = self._slot.read()
        return _kept_from(body) if body else _notes_alone([])

    def _put_back(self, kept: Kept) -> None:
        exported = self._export()
        deployment = _deployment(exported)
        put_back(deployment, kept)
        notes = _notes(deployment)
        self._write(exported, Kept(kept.resources, notes, kept.outputs), _notes_alone(notes))

    def _take_out(self, excluded: StateExclusion) -> None:
        exported = self._export()
        deployment = _deployment(exported)
        put_back(deployment, self._kept())
        notes = _notes(deployment)
        if (taken := take_out(deployment, excluded)).leaves_a_gap:
            self.now = None  # until it is known to be out
            kept = Kept(taken.resources, notes, taken.outputs)
            self._write(exported, kept, kept)
        self.now = excluded

    def _write(self, exported: dict[str, Any], before: Kept, after: Kept) -> None:
        """Write the state; ``before`` that the slot has all that it lacks before or after, then what it lacks now."""
        exported["deployment"]["pending_operations"] = []
        self._keep(before)
        self._put(exported)
        self._keep(after)

    def _keep(self, kept: Kept) -> None:
        if kept == self._kept():
            return
        if kept.leaves_a_gap or kept.pending:
            self._slot.write(kept.to_bytes())
        else:
            self._slot.clear()

    def plain_outputs(self) -> dict[str, Any]:
        """The stack's outputs that are out of the state now, as far as they are no secrets."""
        return {name: value for name, value in self._kept().outputs.items() if not isinstance(value, dict)}


def _deployment(exported: dict[str, Any]) -> dict[str, Any]:
    """What is edited of an export; that of a new stack may have none."""
    found: dict[str, Any] = exported.get("deployment") or {}
    exported["deployment"] = found
    return found


def _notes(deployment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The open creations; of other operations the engine itself keeps no note beyond the next run."""
    return [each for each in deployment.get("pending_operations") or [] if each.get("type") == CREATING]


def take_out(deployment: dict[str, Any], excluded: StateExclusion) -> Kept:
    """Edit an exported state so that what is meant is not in it; gives what was taken out.

    What hangs on it, as its child or by its provider, goes with it; what only depends on it forgets that. The stack
    itself stays, whatever it is called: its name ends in the environment's, and everything hangs on it.
    """
    gone: set[str] = set()
    stays, kept = [], []
    for resource in deployment.get("resources") or []:
        hangs = {str(resource.get("parent")), _provider(resource)} & gone
        if resource["type"] != _STACK and (excluded.has(str(resource["urn"])) or hangs):
            gone.add(str(resource["urn"]))
            kept.append(resource)
        else:
            stays.append(resource)
    deployment["resources"] = [_without(resource, gone) for resource in stays]
    operations = deployment.get("pending_operations") or []
    pending = [each for each in operations if excluded.has(str(each["resource"]["urn"]))]
    deployment["pending_operations"] = [each for each in operations if each not in pending]
    outputs: dict[str, Any] = {}
    for stack in _stacks(deployment):
        named = {name: value for name, value in _outputs(stack).items() if name.endswith(excluded.outputs)}
        stack["outputs"] = {name: v for name, v in _outputs(stack).items() if name not in named}
        outputs |= named
    return Kept(kept, pending, outputs)


def put_back(deployment: dict[str, Any], kept: Kept) -> None:
    """Edit an exported state so that what was taken out of it is in it; what is there already stays.

    Doing it twice is as good as doing it once.
    """
    resources = deployment.setdefault("resources", [])
    there = {str(resource["urn"]) for resource in resources}
    providers = {str(r["urn"]): f"{r['urn']}::{r['id']}" for r in [*kept.resources, *resources] if "id" in r}
    back = [resource for resource in kept.resources if str(resource["urn"]) not in there]
    known = there | {str(resource["urn"]) for resource in back}
    for resource in back:
        mended = _without(resource, _refers(resource) - known)
        if provider := providers.get(_provider(resource)):
            mended["provider"] = provider
        resources.append(mended)
    operations = deployment.get("pending_operations") or []
    deployment["pending_operations"] = [
        *operations,
        *(each for each in kept.pending if each not in operations),
    ]
    for stack in _stacks(deployment):
        stack["outputs"] = kept.outputs | _outputs(stack)


def _stacks(deployment: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (each for each in deployment.get("resources") or [] if each["type"] == _STACK)


def _outputs(resource: dict[str, Any]) -> dict[str, Any]:
    return dict(resource.get("outputs") or {})


def _provider(resource: dict[str, Any]) -> str:
    """The URN of the provider; a reference to one is its URN and its id."""
    return str(resource.get("provider") or "").rpartition("::")[0]


def _refers(resource: dict[str, Any]) -> set[str]:
    by_property = (resource.get("propertyDependencies") or {}).values()
    named = {*(resource.get("dependencies") or []), *(urn for urns in by_property for urn in urns or [])}
    return named | ({resource["deletedWith"]} if resource.get("deletedWith") else set())


def _without(resource: dict[str, Any], gone: set[str]) -> dict[str, Any]:
    """The resource as if it did not refer to what is gone."""
    if not _refers(resource) & gone:
        return dict(resource)
    left = dict(resource)
    left["dependencies"] = [urn for urn in resource.get("dependencies") or [] if urn not in gone]
    left["propertyDependencies"] = {
        name: [urn for urn in urns or [] if urn not in gone]
        for name, urns in (resource.get("propertyDependencies") or {}).items()
    }
    if left.get("deletedWith") in gone:
        del left["deletedWith"]
    return left


def settle(deployment: dict[str, Any], made: Mapping[str, str], never_made: Collection[str]) -> None:
    """Edit an exported state: what was made becomes a resource, what never was is forgotten.

    A note holds the resource as it was to be (inputs, parent, provider, what it depends on), and all of that is in
    the state before it, so its place is the end. Without outputs the provider reads it as in an import. What is there
    already by that id stays: whoever was killed right after settling it does so again.
    """
    left = []
    there = {(resource["urn"], resource.get("id")) for resource in deployment.get("resources") or []}
    for operation in deployment.get("pending_operations") or []:
        resource = operation["resource"]
        urn = resource["urn"]
        if operation["type"] == CREATING and urn in made:
            if (urn, made[urn]) not in there:
                deployment["resources"].append({**resource, "id": made[urn], "outputs": {}})
                there.add((urn, made[urn]))
        elif operation["type"] != CREATING or urn not in never_made:
            left.append(operation)
    deployment["pending_operations"] = left
