"""Taking a part out of the state for some engine runs, and putting it back as it was.

The engine configures the provider of whatever stands in its state, targeted or not, in the program or not
(pulumi 3.200, `SameStep.Apply` and `Registry.Same`), and the AWS provider asks its region's STS when it is
configured. A region that must get no call is therefore out of the state while the engine runs. What was taken
out is durable before it is gone, and whoever uses the state next puts it back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

_STACK = "pulumi:pulumi:Stack"


@dataclass(frozen=True)
class Aside:
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


NOTHING = Aside()


class Slot(Protocol):
    """A place beside the state for what is taken out of it; durable when `write` returns."""

    def read(self) -> bytes | None: ...
    def write(self, body: bytes) -> None: ...
    def clear(self) -> None: ...


@dataclass(frozen=True)
class Kept:
    """What was taken out, as the engine's export has it (secrets encrypted)."""

    resources: list[dict[str, Any]]
    pending: list[dict[str, Any]]
    outputs: dict[str, Any]

    def to_bytes(self) -> bytes:
        """As a slot keeps it."""
        return json.dumps(vars(self)).encode()


def _kept_from(body: bytes) -> Kept:
    """What :meth:`Kept.to_bytes` wrote."""
    return Kept(**json.loads(body))


class Arrangement:
    """What is out of the state now, and how that is changed: durable in ``slot`` before it leaves the state.

    Args:
        export, put: read and write the whole state, as `pulumi stack export` has it.
    """

    def __init__(
        self, slot: Slot, export: Callable[[], dict[str, Any]], put: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self._slot = slot
        self._export = export
        self._put = put
        # None: it is not known, as an earlier process may have left something in the slot.
        self.now: Aside | None = None

    def be(self, aside: Aside) -> None:
        """Have out of the state what is ``aside``, and nothing else."""
        if self.now == aside:
            return
        left = self._slot.read()
        if left is not None:
            exported = self._export()
            put_back(exported.setdefault("deployment", {}), _kept_from(left))
            self._put(exported)
            self._slot.clear()
        self.now = NOTHING
        if aside:
            self._take_out(aside)

    def _take_out(self, aside: Aside) -> None:
        exported = self._export()
        kept = take_out(exported.get("deployment") or {}, aside)
        if any(vars(kept).values()):
            self.now = None  # until it is known to be out
            self._slot.write(kept.to_bytes())
            self._put(exported)
        self.now = aside

    def plain_outputs(self) -> dict[str, Any]:
        """The stack's outputs that are out of the state now, as far as they are no secrets."""
        body = self._slot.read()
        outputs = _kept_from(body).outputs if body else {}
        return {name: value for name, value in outputs.items() if not isinstance(value, dict)}


def take_out(deployment: dict[str, Any], aside: Aside) -> Kept:
    """Edit an exported state so that what is meant is not in it; gives what was taken out.

    What hangs on it, as its child or by its provider, goes with it; what only depends on it forgets that. The stack
    itself stays, whatever it is called: its name ends in the environment's, and everything hangs on it.
    """
    gone: set[str] = set()
    stays, kept = [], []
    for resource in deployment.get("resources") or []:
        hangs = {str(resource.get("parent")), _provider(resource)} & gone
        if resource["type"] != _STACK and (aside.has(str(resource["urn"])) or hangs):
            gone.add(str(resource["urn"]))
            kept.append(resource)
        else:
            stays.append(resource)
    deployment["resources"] = [_without(resource, gone) for resource in stays]
    operations = deployment.get("pending_operations") or []
    pending = [each for each in operations if aside.has(str(each["resource"]["urn"]))]
    deployment["pending_operations"] = [each for each in operations if each not in pending]
    outputs: dict[str, Any] = {}
    for stack in _stacks(deployment):
        named = {name: value for name, value in _outputs(stack).items() if name.endswith(aside.outputs)}
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
