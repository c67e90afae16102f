"""Findings, check results and plans: data before they are text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from regionshift.errors import EXIT_INPUT, EXIT_OK, EXIT_REFUSED
from regionshift.settings.mistakes import FieldPath

Severity = Literal["error", "warning", "info"]
Outcome = Literal["passed", "failed", "warning", "not applicable"]
LOSS = "data-loss"
"""The code of a finding: what holds data would go."""


@dataclass(frozen=True)
class Finding:
    """One thing in a plan that is wrong or worth knowing, always with its remedy.

    ``region`` is None for the whole environment. ``is_input``: the input is wrong (settings, options, files that they
    name), or something must be installed.
    """

    code: str
    severity: Severity
    message: str
    region: str | None
    remedy: str
    is_input: bool = False


@dataclass(frozen=True)
class PolicyFinding(Finding):
    """A fault of a policy; ``code`` is the id of its rule (`iam.findings.RULES`).

    Args:
        document: the resource that has the policy, with ``{region}`` where its region stands. statement: its label.
        regions: where it is alike. setting: the path of the setting that it comes from.
        waived: until when and why a waiver takes it for right; "" when none does.
    """

    document: str = ""
    statement: str = ""
    regions: tuple[str, ...] = ()
    setting: FieldPath = ()
    waived: str = ""


@dataclass(frozen=True)
class CheckResult:
    """The answer to one question asked of one region. ``seconds`` is how long asking took."""

    check: str
    region: str
    outcome: Outcome
    detail: str
    remedy: str | None = None
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong; neither is a warning, nor a question that does not apply."""
        return self.outcome != "failed"


@dataclass(frozen=True)
class ValueChange:
    """One value that differs: its path (``policy.Statement[0].Action``), its value before and after.

    None stands for a missing value; both are None if only the path is known.
    """

    path: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Change:
    """One resource that a plan would touch: what happens, where, which properties and which values differ."""

    op: str
    type: str
    name: str
    region: str | None
    urn: str
    properties: tuple[str, ...] = ()
    values: tuple[ValueChange, ...] = ()


@dataclass(frozen=True)
class Growth:
    """What a plan opens to one subject, the same in each of ``regions``: rights, or a safeguard that is lifted.

    Args:
        id: of just what it opens: what is allowed by it is no more than that.
        subject: whose rights, or what is opened; ``{region}`` stands for each of the regions. opens: in sentences.
        is_counted: whether `up` needs leave for it. is_allowed: whether it has that.
        why: why it needs none, where it is not counted.
    """

    id: str
    subject: str
    regions: tuple[str, ...]
    opens: tuple[str, ...]
    is_counted: bool
    is_allowed: bool = False
    why: str = ""


@dataclass(frozen=True)
class Loss:
    """What a plan deletes with a resource and no `up` can make again.

    Args:
        name: of the resource. holds: what is lost, in words, and how long AWS keeps it.
        leave: the option without which `up` refuses; "" where it needs none. is_allowed: whether it was given.
    """

    name: str
    type: str
    region: str | None
    holds: str
    leave: str = ""
    is_allowed: bool = False


@dataclass(frozen=True)
class MonthlyCost:
    """US dollars a month for the idle environment, before and after a plan. ``basis``: the source of the prices."""

    before: float
    after: float
    basis: str


@dataclass(frozen=True)
class Plan:
    """The changes of a command, and the findings about them.

    ``outputs_differ``: the environment's outputs change, with or without a resource. ``growth``: the opened rights.
    ``losses``: permanent deletions. ``cost``: None if it is not known.
    """

    environment: str
    regions: tuple[str, ...]
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    unchanged: int = 0
    outputs_differ: bool = False
    growth: tuple[Growth, ...] = ()
    losses: tuple[Loss, ...] = ()
    cost: MonthlyCost | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.changes and not self.outputs_differ

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop the work."""
        return errors_of(self.findings)

    def counts(self) -> dict[str, dict[str | None, int]]:
        """How many resources each operation touches in each region: {op: {region: n}}."""
        table: dict[str, dict[str | None, int]] = {}
        for change in self.changes:
            row = table.setdefault(change.op, {})
            row[change.region] = row.get(change.region, 0) + 1
        return table

    def as_data(self) -> dict[str, Any]:
        """All of it, ready for JSON, in the order in which it is shown; each change by itself, not folded."""
        told = ("environment", "regions", "unchanged", "outputs_differ")
        order = (*told, "growth", "losses", "cost", "changes", "findings")
        found = asdict(self)
        return {**{name: found[name] for name in order}, "errors": len(self.errors)}


def errors_of(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that stop the work."""
    return tuple(finding for finding in findings if finding.severity == "error")


def exit_code_of(findings: Iterable[Finding]) -> int:
    """How a command ends that goes no further than these findings: as an `up` that they stop, or 0."""
    errors = errors_of(findings)
    if not errors:
        return EXIT_OK
    return EXIT_INPUT if any(each.is_input for each in errors) else EXIT_REFUSED


def as_data(values: Iterable[Any]) -> list[dict[str, Any]]:
    """Dataclasses as plain dictionaries, ready for JSON."""
    return [asdict(value) for value in values]
