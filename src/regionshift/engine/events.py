"""What the engine does, as data: one `ResourceStep` for each resource it looks at, one `Problem` for each error."""

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
# Pulumi's sdk 3.200, apitype/history.go (OpType): what is told before a step, and the parts of a replacement.
_TOLD_BEFORE = frozenset({"refresh", "remove-pending-replace"})
_ENDS = frozenset({"delete", "delete-replaced", "discard-replaced"})
_REPLACES = frozenset({"replace", "create-replacement", "read-replacement", "import-replacement"})
_REGION = re.compile(rf"(?<![a-z])({'|'.join(all_regions())})(?![0-9a-z])")
_NOT_IN_THE_CLOUD = ("pulumi:", "regionshift:")
_STACK = "pulumi:pulumi:Stack"
_PENDING = "pending operations"  # the engine's words for what a killed run left open
SECRET = "(secret)"
NOT_YET = "(known when it is made)"
"""What stands, for a person, for a value that AWS makes up."""
_COLOURS = re.compile(r"<\{%[^%]*%\}>")


@dataclass(frozen=True)
class ResourceStep:
    """One resource and what happens to it.

    ``op`` is the engine's own word (create, update, replace, delete, same, ...); ``changed`` names the
    properties that differ, as paths; ``old`` and ``new`` are inputs with secrets masked by the engine.
    ``stood``: the inputs as the last run left them, where they were read back since; ``old`` is then what is there.
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
        """Whether the step alters anything in the cloud: stack, providers and components are not there."""
        return self.op not in UNCHANGED and not self.type.startswith(_NOT_IN_THE_CLOUD)


@dataclass(frozen=True)
class Problem:
    """An error that the engine reported: whose, and in AWS's own words."""

    message: str
    urn: str | None
    region: str | None

    @property
    def resource(self) -> str | None:
        """The resource's logical name, when the error belongs to one."""
        return self.urn.rsplit("::", 1)[-1] if self.urn else None


@dataclass(frozen=True)
class StepProgress:
    """A step that began, ended or failed while the engine runs."""

    phase: str  # started | done | failed
    step: ResourceStep


def final_steps(steps: Iterable[ResourceStep]) -> list[ResourceStep]:
    """One step for each resource, in the order in which the engine came to them: what it is in the end.

    The engine tells of one resource as often as it turns to it: of reading it back (``refresh``), of each of the
    three parts of a replacement, of the old copy that a killed replacement left beside the new one. Whoever counts
    or adds up reads this instead. A replacement, in whatever order and however far an earlier run came, is one step
    ``replace``, from the inputs that go to those that come.
    """
    told: dict[str, list[ResourceStep]] = {}
    for step in steps:
        told.setdefault(step.urn, []).append(step)
    return [_as_it_stood(each, _in_the_end(each)) for each in told.values()]


def _as_it_stood(told: Sequence[ResourceStep], end: ResourceStep) -> ResourceStep:
    """``end`` with what the engine's state said before it read the resource back."""
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
    """The region of a resource: its own ``region`` property, else the last region code in its name.

    A name ends in the region that the resource stands in; what links regions names the other one before.
    """
    region = (properties or {}).get("region")
    if isinstance(region, str):
        return region
    found: list[str] = _REGION.findall(urn.rsplit("::", 1)[-1])
    return found[-1] if found else None


def step_of(metadata: StepEventMetadata) -> ResourceStep:
    """A `ResourceStep` from the engine's own event.

    The engine calls it ``same`` when only its protection changes, as AWS has no part in that; but a run is needed.
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
    """What an engine event says about a step, or None when it is about something else."""
    if event.resource_pre_event:
        return StepProgress("started", step_of(event.resource_pre_event.metadata))
    if event.res_outputs_event:
        return StepProgress("done", step_of(event.res_outputs_event.metadata))
    if event.res_op_failed_event:
        return StepProgress("failed", step_of(event.res_op_failed_event.metadata))
    return None


def outputs_of(event: EngineEvent) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The stack's outputs in the state and those of the run; None: the event tells nothing of them."""
    if not event.res_outputs_event or event.res_outputs_event.metadata.type != _STACK:
        return None
    metadata = event.res_outputs_event.metadata
    old = metadata.old.outputs if metadata.old else None
    new = metadata.new.outputs if metadata.new else None
    return dict(old or {}), dict(new or {})


def holds_secret(value: object) -> bool:
    """Whether something in ``value`` is marked as secret, as events have it."""
    if isinstance(value, Mapping):
        return _special_sig_key in value or any(holds_secret(each) for each in value.values())
    return isinstance(value, list) and any(holds_secret(each) for each in value)


def masked(value: object) -> object:
    """``value`` of an event for a person's eyes: no secret in it, and what is known only later in words."""
    if isinstance(value, Mapping):
        if value.get(_special_sig_key) == _special_secret_sig:
            return SECRET
        if _special_sig_key in value:  # a file or an archive, by its content
            return f"(file {str(value.get('hash', ''))[:12]})"
        return {name: masked(each) for name, each in value.items() if not str(name).startswith("__")}
    if isinstance(value, list):
        return [masked(each) for each in value]
    return {UNKNOWN: NOT_YET, MASKED: SECRET}.get(value, value) if isinstance(value, str) else value


def tells_of_pending(event: EngineEvent) -> bool:
    """Whether the engine warns that an earlier run was killed while it made something."""
    said = event.diagnostic_event
    return said is not None and said.severity == "warning" and _PENDING in said.message


def problem_of(event: DiagnosticEvent, hidden: Collection[str] = ()) -> Problem | None:
    """The error in a diagnostic event, on one line and without the engine's colour marks; None when it is no error.

    ``hidden``: texts that it may not show.
    """
    if event.severity != "error":
        return None
    message = without_texts(" ".join(_COLOURS.sub("", event.message).split()), hidden)
    return Problem(message, event.urn or None, region_of(event.urn) if event.urn else None)
