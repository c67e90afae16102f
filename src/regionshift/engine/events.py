"""The engine's events as data: a `ResourceStep` for each resource, and a `Problem` for each error."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pulumi.automation import DiagnosticEvent, EngineEvent, StepEventMetadata
from pulumi.runtime.rpc import UNKNOWN, _special_secret_sig, _special_sig_key

from regionshift.errors import MASKED, without_texts
from regionshift.settings.regions import all_regions

UNCHANGED = frozenset({"same", "read", "refresh"})
# Operations before a step, and the parts of a replacement (Pulumi's sdk 3.200, apitype/history.go, OpType).
_TOLD_BEFORE = frozenset({"refresh", "remove-pending-replace"})
_ENDS = frozenset({"delete", "delete-replaced", "discard-replaced"})
_REPLACES = frozenset({"replace", "create-replacement", "read-replacement", "import-replacement"})
_REGION = re.compile(rf"(?<![a-z])({'|'.join(all_regions())})(?![0-9a-z])")
_NOT_IN_THE_CLOUD = ("pulumi:", "regionshift:")
_STACK = "pulumi:pulumi:Stack"
_PENDING = "pending operations"  # the engine's words for unfinished operations of a killed run
SECRET = "(secret)"
NOT_YET = "(known when it is made)"
"""Shown for a value that AWS chooses."""
_COLOURS = re.compile(r"<\{%[^%]*%\}>")


@dataclass(frozen=True)
class ResourceStep:
    """One operation on a resource.

    ``op``: the engine's word (create, update, replace, delete, same, …). ``changed``: paths of the properties that
    differ. ``old``, ``new``: inputs, with secrets masked by the engine. ``stood``: after a refresh, the inputs of the
    last run; ``old`` then has the values in the cloud.
    """

    op: str
    urn: str
    type: str
    region: str | None
    changed: tuple[str, ...] = ()
    replaced_by: tuple[str, ...] = ()
    old: Mapping[str, Any] = field(default_factory=dict, repr=False)
    new: Mapping[str, Any] = field(default_factory=dict, repr=False)
    stood: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The resource's logical name."""
        return self.urn.rsplit("::", 1)[-1]

    @property
    def changes(self) -> bool:
        """Whether the step changes something in the cloud. Stack, providers and components are not in the cloud."""
        return self.op not in UNCHANGED and not self.type.startswith(_NOT_IN_THE_CLOUD)


@dataclass(frozen=True)
class Problem:
    """An error that the engine reported, with AWS's message and its resource."""

    message: str
    urn: str | None
    region: str | None

    @property
    def resource(self) -> str | None:
        """The resource's logical name, when the error belongs to one."""
        return self.urn.rsplit("::", 1)[-1] if self.urn else None


@dataclass(frozen=True)
class StepProgress:
    """A step that began, ended or failed during a run."""

    phase: str  # started | done | failed
    step: ResourceStep


def final_steps(steps: Iterable[ResourceStep]) -> list[ResourceStep]:
    """Return the final step of each resource, in the engine's order.

    The engine reports several steps for one resource: a ``refresh``, each of the three parts of a replacement, and the
    old copy after a killed replacement. Here a replacement is always one step ``replace``, from the old to the new
    inputs.
    """
    told: dict[str, list[ResourceStep]] = {}
    for step in steps:
        told.setdefault(step.urn, []).append(step)
    return [_as_it_stood(each, _in_the_end(each)) for each in told.values()]


def _as_it_stood(told: Sequence[ResourceStep], end: ResourceStep) -> ResourceStep:
    """Return ``end`` with the inputs in the state before the refresh."""
    if end.op == "refresh":
        return end
    stood = next((step.old for step in told if step.op == "refresh" and step.old), end.stood)
    return replace(end, stood=stood)


def _in_the_end(told: Sequence[ResourceStep]) -> ResourceStep:
    acting = [step for step in told if step.op not in _TOLD_BEFORE] or told[-1:]
    ends = [step for step in acting if step.op in _ENDS]
    makes = [step for step in acting if step.op not in _ENDS]
    if not makes:
        return replace(acting[-1], op="delete")
    if not ends and not any(step.op in _REPLACES for step in makes):
        return acting[-1]
    coming = next((step for step in makes if step.new), makes[-1])
    old = next((step.old for step in (*ends, *acting) if step.old), {})
    changed = next((step.changed for step in acting if step.changed), ())
    replaced_by = next((step.replaced_by for step in acting if step.replaced_by), ())
    return replace(coming, op="replace", old=old, changed=changed, replaced_by=replaced_by)


def region_of(urn: str, properties: Mapping[str, Any] | None = None) -> str | None:
    """Return a resource's region: its ``region`` property, else the last region code in its name.

    A name ends in the resource's region. Links between regions have the other region before it.
    """
    region = (properties or {}).get("region")
    if isinstance(region, str):
        return region
    found: list[str] = _REGION.findall(urn.rsplit("::", 1)[-1])
    return found[-1] if found else None


def step_of(metadata: StepEventMetadata) -> ResourceStep:
    """Return the `ResourceStep` of an event.

    When only the protection changes, the engine says ``same``. It is an update here, because a run is needed.
    """
    old = dict(metadata.old.inputs) if metadata.old and metadata.old.inputs else {}
    new = dict(metadata.new.inputs) if metadata.new and metadata.new.inputs else {}
    op, changed = metadata.op.value, tuple(metadata.detailed_diff or metadata.diffs or ())
    if op == "same" and metadata.old and metadata.new:
        was, is_to_be = bool(metadata.old.protect), bool(metadata.new.protect)
        if was != is_to_be:
            op, changed = "update", (*changed, "protect")
            old, new = {**old, "protect": was}, {**new, "protect": is_to_be}
    return ResourceStep(
        op=op,
        urn=metadata.urn,
        type=metadata.type,
        region=region_of(metadata.urn, new or old),
        changed=changed,
        replaced_by=tuple(metadata.keys or ()),
        old=old,
        new=new,
    )


def progress_of(event: EngineEvent) -> StepProgress | None:
    """Return the step in an event, or None."""
    if event.resource_pre_event:
        return StepProgress("started", step_of(event.resource_pre_event.metadata))
    if event.res_outputs_event:
        return StepProgress("done", step_of(event.res_outputs_event.metadata))
    if event.res_op_failed_event:
        return StepProgress("failed", step_of(event.res_op_failed_event.metadata))
    return None


def outputs_of(event: EngineEvent) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return the stack's outputs in the state and those of the run; None when the event has none."""
    if not event.res_outputs_event or event.res_outputs_event.metadata.type != _STACK:
        return None
    metadata = event.res_outputs_event.metadata
    old = metadata.old.outputs if metadata.old else None
    new = metadata.new.outputs if metadata.new else None
    return dict(old or {}), dict(new or {})


def holds_secret(value: object) -> bool:
    """Whether a value of an event has a secret in it."""
    if isinstance(value, Mapping):
        return _special_sig_key in value or any(holds_secret(each) for each in value.values())
    return isinstance(value, list) and any(holds_secret(each) for each in value)


def masked(value: object) -> object:
    """Return a value of an event for display: without secrets, and with words for unknown values."""
    if isinstance(value, Mapping):
        if value.get(_special_sig_key) == _special_secret_sig:
            return SECRET
        if _special_sig_key in value:  # a file or an archive
            return f"(file {str(value.get('hash', ''))[:12]})"
        return {name: masked(each) for name, each in value.items() if not str(name).startswith("__")}
    if isinstance(value, list):
        return [masked(each) for each in value]
    return {UNKNOWN: NOT_YET, MASKED: SECRET}.get(value, value) if isinstance(value, str) else value


def warns_of_pending(event: EngineEvent) -> bool:
    """Whether the engine warns of unfinished operations of a killed run."""
    said = event.diagnostic_event
    return said is not None and said.severity == "warning" and _PENDING in said.message


def problem_of(event: DiagnosticEvent, hidden: Collection[str] = ()) -> Problem | None:
    """Return the error in a diagnostic event on one line, without colour marks; None when it is not an error.

    ``hidden``: texts to remove.
    """
    if event.severity != "error":
        return None
    message = without_texts(" ".join(_COLOURS.sub("", event.message).split()), hidden)
    return Problem(message, event.urn or None, region_of(event.urn) if event.urn else None)
