"""Exclude a part of the state from engine runs, and restore it afterwards.

The engine configures the provider of each resource in its state, also when the run does not target it (pulumi 3.200,
`SameStep.Apply` and `Registry.Same`). The AWS provider then asks its region's STS. So a region that must get no calls
is taken out of the state during the run. The excluded part is stored before it is removed, and the next user of the
state puts it back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

_STACK = "pulumi:pulumi:Stack"
CREATING = "creating"
"""The engine's name for the operation in the note of an unfinished creation."""


@dataclass(frozen=True)
class StateExclusion:
    """The part of the state that a run must not see.

    Args:
        resources: patterns of URNs (``*`` matches any text).
        outputs: suffixes of the names of the stack's outputs.
    """

    resources: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.resources or self.outputs)

    def has(self, urn: str) -> bool:
        """Whether the resource belongs to the part."""
        return any(fnmatchcase(urn, pattern) for pattern in self.resources)


NOTHING = StateExclusion()


class ExclusionStore(Protocol):
    """Stores the excluded part of the state; durable when `write` returns."""

    def read(self) -> bytes | None: ...
    def write(self, body: bytes) -> None: ...
    def clear(self) -> None: ...


@dataclass(frozen=True)
class Kept:
    """The excluded part, in the format of the engine's export (secrets encrypted).

    Args:
        pending: notes of open creations. They can stay longer than the rest.
    """

    resources: list[dict[str, Any]]
    pending: list[dict[str, Any]]
    outputs: dict[str, Any]

    @property
    def leaves_a_gap(self) -> bool:
        """Whether the state is incomplete without it. Notes do not count."""
        return bool(self.resources or self.outputs)

    def to_bytes(self) -> bytes:
        """Return the form for the slot."""
        return json.dumps(vars(self)).encode()


def _kept_from(body: bytes) -> Kept:
    """Read what ``Kept.to_bytes`` wrote."""
    return Kept(**json.loads(body))


def _notes_alone(notes: list[dict[str, Any]]) -> Kept:
    return Kept([], notes, {})


class ExcludedState:
    """The excluded part of a state, in ``slot``. It is stored there before it is removed from the state.

    Each `stack import` removes the notes of open creations from the state (pulumi 3.200). So they are stored in the
    slot too, until they are settled.

    Args:
        export, put: read and write the whole state, in the format of `pulumi stack export`.
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
        # None: unknown, because an earlier process may have left something in the slot.
        self.now: StateExclusion | None = None

    def exclude(self, excluded: StateExclusion) -> None:
        """Take exactly ``excluded`` out of the state."""
        if self.now == excluded:
            return
        if (kept := self._kept()).leaves_a_gap:
            self._put_back(kept)
        self.now = NOTHING
        if excluded:
            self._take_out(excluded)

    def deployment(self) -> dict[str, Any]:
        """Return the whole state, with the excluded part and the notes. Writes nothing."""
        kept = self._kept()  # before the export: a part that is restored meanwhile is then in both
        deployment = dict(self._export().get("deployment") or {})
        put_back(deployment, kept)
        return deployment

    def settle(self, made: Mapping[str, str], never_made: Collection[str]) -> None:
        """Close open creations; see the function ``settle``."""
        self.exclude(NOTHING)
        exported = self._export()
        deployment = _deployment(exported)
        put_back(deployment, self._kept())
        notes = _notes(deployment)
        settle(deployment, made, never_made)
        self._write(exported, _notes_alone(notes), _notes_alone(_notes(deployment)))

    def forget(self) -> None:
        """Empty the slot, after the stack was removed."""
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
        """Write the state. The slot has ``before`` until the write is done, and then ``after``."""
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
        """Return the excluded outputs of the stack, without secrets."""
        return {name: value for name, value in self._kept().outputs.items() if not isinstance(value, dict)}


def _deployment(exported: dict[str, Any]) -> dict[str, Any]:
    """Return the deployment in an export; create it for a new stack."""
    found: dict[str, Any] = exported.get("deployment") or {}
    exported["deployment"] = found
    return found


def _notes(deployment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the open creations. The engine drops notes of other operations with the next run."""
    return [each for each in deployment.get("pending_operations") or [] if each.get("type") == CREATING]


def take_out(deployment: dict[str, Any], excluded: StateExclusion) -> Kept:
    """Remove the excluded part from an exported state, and return it.

    Children of removed resources, and resources of removed providers, are removed too. Dependencies on removed
    resources are dropped. The stack itself always stays.
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
    """Put the excluded part back into an exported state. Resources that are there already stay. Idempotent."""
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
    """Return the URN of a resource's provider; the reference is its URN and id."""
    return str(resource.get("provider") or "").rpartition("::")[0]


def _refers(resource: dict[str, Any]) -> set[str]:
    by_property = (resource.get("propertyDependencies") or {}).values()
    named = {*(resource.get("dependencies") or []), *(urn for urns in by_property for urn in urns or [])}
    return named | ({resource["deletedWith"]} if resource.get("deletedWith") else set())


def _without(resource: dict[str, Any], gone: set[str]) -> dict[str, Any]:
    """Return the resource without references to ``gone``."""
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
    """Close open creations in an exported state: add resources that exist, and drop notes of those that do not.

    A note has the planned resource (inputs, parent, provider, dependencies). All of these are in the state before it,
    so the resource is added at the end. Without outputs, the provider reads it as in an import. A resource with that id
    that is in the state already stays, so that a repeated call changes nothing.
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
