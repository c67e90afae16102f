"""The `Plan` of a change: the engine's preview with our findings.

An update is shown value by value. Policies are compared as JSON, and secrets are never shown.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

from regionshift.engine.engine import Engine, RunRecord
from regionshift.engine.events import SECRET, ResourceStep, StepProgress, masked
from regionshift.iam.differences import PolicyDifference, differences
from regionshift.iam.documents import Unreadable, parse
from regionshift.operations.broadening import growth_of, made_findings
from regionshift.operations.costs import cost_of
from regionshift.operations.environment import Environment
from regionshift.report.values import LOSS, Change, Finding, Loss, Plan, ValueChange

INTERFACES_STAY = 45
"""Minutes (Terraform Registry, aws_security_group, "Timeouts": what Lambda's network interfaces take to go)."""
BUCKET = "aws:s3/bucket:Bucket"
_DESTRUCTIVE = frozenset({"delete", "replace"})
ALLOW_LOSS = "--allow-data-loss"
DATA_HOLDERS: Mapping[str, str] = MappingProxyType(
    {
        BUCKET: "every version of every object",
        "aws:kms/key:Key": "the key: what it encrypted cannot be read any more",
        "aws:secretsmanager/secret:Secret": "its value",
        "aws:ssm/parameter:Parameter": "its value and its history",
    }
)
"""The types with data that the settings cannot restore, and the data that is lost with one."""
_LOSES_TOO: Mapping[str, str] = MappingProxyType(
    {
        "aws:cloudwatch/logGroup:LogGroup": "its log events",
        "aws:sqs/queue:Queue": "the messages that are still in it",
    }
)
"""Losses that are shown but need no permission: log events and messages are temporary."""
# AWS keeps these for some days: KMS API Reference, ScheduleKeyDeletion; Secrets Manager API Reference, DeleteSecret.
_KEPT_FOR: Mapping[str, str] = MappingProxyType(
    {
        "aws:kms/key:Key": "deletionWindowInDays",
        "aws:secretsmanager/secret:Secret": "recoveryWindowInDays",
    }
)


def make_plan(
    environment: Environment,
    record: RunRecord,
    findings: Sequence[Finding],
    *,
    allow_data_loss: bool = False,
    given_up: Collection[str] = (),
    standing: Collection[str] | None = None,
    release: str = "",
) -> Plan:
    """The plan of the preview ``record``. Loss of data is an error unless it is allowed.

    Args:
        given_up: regions whose data may be lost.
        standing: regions with a release; None for every region with a resource. release: the planned digest.
    """
    own = [step for step in record.outcomes if not step.type.startswith(("pulumi:", "regionshift:"))]
    told = (change_of(step) for step in own if step.changes)
    changes = tuple(sorted(told, key=lambda change: change.urn))  # the engine works in any order
    if standing is None:
        standing = {step.region for step in own if step.region and step.op != "create"}
    losses = losses_of(own, leave=ALLOW_LOSS, allowed=allow_data_loss, given_up=given_up)
    return Plan(
        environment=environment.name,
        regions=environment.regions,
        changes=changes,
        findings=(
            *findings,
            *(_loss_finding(each) for each in losses if each.leave),
            *wait_findings(environment, changes),
            *made_findings(own, standing),
        ),
        unchanged=sum(step.op == "same" for step in own),
        outputs_differ=record.outputs_differ,
        growth=growth_of(own, environment.regions, standing, release),
        losses=losses,
        cost=cost_of(own),
    )


def wait_findings(environment: Environment, changes: Sequence[Change]) -> list[Finding]:
    """A finding on a deletion that takes more than minutes: it waits for the interfaces of a function in a VPC.

    The security group is deleted when the function leaves the VPC, or with the function. The embedded AWS has no
    interfaces.
    """
    regions = sorted(
        change.region or ""
        for change in changes
        if change.op in _DESTRUCTIVE
        and change.type == "aws:ec2/securityGroup:SecurityGroup"
        and change.name.startswith("function-")
    )
    if not regions or environment.config.target != "aws":
        return []
    message = (
        f"Lambda keeps the function's network interfaces for up to {INTERFACES_STAY} minutes; its subnets and"
        f" security group are deleted when they are gone: {', '.join(regions)}"
    )
    return [
        Finding("interfaces", "info", message, None, "nothing: let it run; the regions wait side by side")
    ]


def change_of(step: ResourceStep) -> Change:
    """A step of the engine, as the plan shows it."""
    values = () if step.op in ("create", "delete") else value_changes(step)
    properties = step.replaced_by or step.changed
    return Change(step.op, step.type, step.name, step.region, step.urn, properties, values)


def doomed_buckets(record: RunRecord) -> tuple[tuple[str, str], ...]:
    """The buckets, as (region, name), that the previewed change deletes or replaces."""
    gone = [step for step in record.outcomes if step.type == BUCKET and step.op in _DESTRUCTIVE]
    return tuple(
        sorted({(step.region or "", str(step.old["bucket"])) for step in gone if "bucket" in step.old})
    )


def losses_of(
    steps: Sequence[ResourceStep],
    *,
    leave: str = "",
    allowed: bool = False,
    given_up: Collection[str] = (),
) -> tuple[Loss, ...]:
    """The data that is lost with deleted and replaced resources, in the order of their names.

    Args:
        steps: one a resource (`final_steps`). leave: the option that allows loss of data.
        allowed: the option was given. given_up: regions whose data may be lost.
    """
    found = []
    for step in (each for each in steps if each.op in _DESTRUCTIVE):
        holds, needs = DATA_HOLDERS.get(step.type), leave
        if holds is None:
            holds, needs = _LOSES_TOO.get(step.type), ""
        if holds is not None:
            days = step.old.get(_KEPT_FOR.get(step.type, ""))
            kept = f"; AWS keeps it for {int(days)} days" if isinstance(days, int | float) and days else ""
            is_allowed = bool(needs) and (allowed or step.region in given_up)
            found.append((step.urn, Loss(step.name, step.type, step.region, holds + kept, needs, is_allowed)))
    return tuple(loss for _, loss in sorted(found, key=lambda each: each[0]))


def _loss_finding(loss: Loss) -> Finding:
    return Finding(
        code=LOSS,
        severity="warning" if loss.is_allowed else "error",
        message=f"{loss.name} ({loss.type}) would be deleted or replaced, with what it holds",
        region=loss.region,
        remedy=f"allowed by {loss.leave}"
        if loss.is_allowed
        else f"give {loss.leave} if that is what you want",
    )


_ABSENT = object()
# Inputs that hold the value of a secret, whether the engine marks them as secret or not.
_NEVER_SHOWN = {
    "aws:secretsmanager/secretVersion:SecretVersion": ("secretString", "secretBinary"),
    "aws:ssm/parameter:Parameter": ("value", "insecureValue"),
}


def value_changes(step: ResourceStep) -> tuple[ValueChange, ...]:
    """Every value that ``step`` changes; only its path when the value may not be shown."""
    hidden = _NEVER_SHOWN.get(step.type, ())
    found = [
        ValueChange(each.path, SECRET, SECRET) if _first(each.path) in hidden else each
        for each in _walk("", masked(step.old), masked(step.new))
    ]
    named = {_first(each.path) for each in found}
    told = dict.fromkeys(map(_first, (*step.replaced_by, *step.changed)))
    return (*found, *(ValueChange(path, None, None) for path in told if path not in named))


def _walk(path: str, before: object, after: object) -> Iterator[ValueChange]:
    old, new = _as_json(before), _as_json(after)
    if (statements := _statements(old, new)) is not None:
        for each in statements:
            inside = f".{each.part}" if each.part else ""
            yield ValueChange(f"{path}.Statement[{each.statement}]{inside}", each.before, each.after)
        if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
            return
        old, new = {**old, "Statement": None}, {**new, "Statement": None}
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys([*old, *new]):
            inner = f"{path}.{name}" if path else str(name)
            yield from _walk(inner, old.get(name, _ABSENT), new.get(name, _ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _walk_lists(path, old, new)
    elif old != new:
        yield ValueChange(path, *(None if value is _ABSENT else value for value in (old, new)))


def _statements(old: object, new: object) -> list[PolicyDifference] | None:
    """The differences between the statements of two policy documents; None when one is no document or unreadable."""
    ends = [each for each in (old, new) if each is not _ABSENT]
    if not ends or not all(isinstance(each, Mapping) and "Statement" in each for each in ends):
        return None
    try:
        was, now = (parse(each) if isinstance(each, Mapping) else None for each in (old, new))
    except Unreadable:
        return None
    return differences(was, now)


def _walk_lists(path: str, old: list[object], new: list[object]) -> Iterator[ValueChange]:
    """Compare statements by Sid, lists of equal length by position, and other lists by removed and added items."""
    by_sid = _by_sid(old), _by_sid(new)
    if by_sid[0] is not None and by_sid[1] is not None:
        for sid in dict.fromkeys([*by_sid[0], *by_sid[1]]):
            yield from _walk(f"{path}[{sid}]", by_sid[0].get(sid, _ABSENT), by_sid[1].get(sid, _ABSENT))
    elif len(old) == len(new) and all(isinstance(each, Mapping) for each in (*old, *new)):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _walk(f"{path}[{place}]", one, other)
    else:
        gone, made = [e for e in old if e not in new], [e for e in new if e not in old]
        yield from (ValueChange(f"{path}[]", each, None) for each in gone)
        yield from (ValueChange(f"{path}[]", None, each) for each in made)
        if old != new and not gone and not made:  # only the order or the count differs
            yield ValueChange(path, old, new)


def _by_sid(statements: list[object]) -> dict[str, object] | None:
    found: dict[str, object] = {
        str(each["Sid"]): each for each in statements if isinstance(each, Mapping) and "Sid" in each
    }
    return found if found and len(found) == len(statements) else None


def _as_json(value: object) -> object:
    """The parsed document when ``value`` is JSON text, else ``value``."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _first(path: str) -> str:
    return path.replace("[", ".").partition(".")[0]


_LINKS = "regionshift:infrastructure:Links"
_REGION = "regionshift:infrastructure:Region"


def targets_of(regions: Collection[str]) -> list[str]:
    """The engine's targets for all resources of ``regions`` (``**`` stands for any text in a URN)."""
    return [
        pattern
        for region in regions
        for pattern in (
            f"urn:pulumi:**::{_REGION}**::*-{region}",
            f"urn:pulumi:**::pulumi:providers:aws::aws-{region}",
        )
    ]


def link_targets() -> list[str]:
    """The engine's targets for the links."""
    return [f"urn:pulumi:**::{_LINKS}**"]


def is_link(urn: str) -> bool:
    """Whether a resource joins regions."""
    return f"::{_LINKS}" in urn


def home_of(urn: str, regions: Collection[str]) -> str | None:
    """The region among ``regions`` that a resource belongs to; None for links and other resources."""
    if is_link(urn):
        return None
    return next((region for region in regions if urn.endswith(f"-{region}")), None)


class Guard:
    """Follows an engine run, and stops it when it begins to change a resource that it may not change.

    Args:
        regions: the regions that may change. links: only the links may change. everywhere: all regions.

    ``outside``: the forbidden changes that were begun. ``strayed``: their regions.
    """

    def __init__(
        self,
        engine: Engine,
        regions: Collection[str],
        everywhere: Collection[str],
        *,
        links: bool = False,
    ) -> None:
        self._engine = engine
        self._regions = regions
        self._everywhere = everywhere
        self._links = links
        self.outside: list[ResourceStep] = []
        self.strayed: set[str] = set()
        self.touched: set[str] = set()

    def __call__(self, progress: StepProgress) -> None:
        if progress.step.changes:
            self._look(progress.step)

    def _look(self, step: ResourceStep) -> None:
        home = home_of(step.urn, self._regions)
        if home is not None and not self._links:
            self.touched.add(home)
        elif not (self._links and is_link(step.urn)):
            self.outside.append(step)
            self.strayed.update(filter(None, [home_of(step.urn, self._everywhere)]))
            self._engine.halt()
