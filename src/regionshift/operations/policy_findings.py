"""Faults of what a change would write, before it writes it: policies too wide, documents too large."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from regionshift.engine.events import ResourceStep
from regionshift.iam.documents import ALL, EVERY, Policy, PolicyKind, Statement
from regionshift.infrastructure.policies.statement import WITHOUT_RESOURCE
from regionshift.infrastructure.sizes import documents, measured
from regionshift.operations.policy_documents import policy_documents
from regionshift.report.values import Finding
from regionshift.settings.config import MigrationConfig


def size_findings(config: MigrationConfig) -> list[Finding]:
    """An error for each document that would be larger than AWS takes, by the settings alone."""
    return [
        Finding("size", "error", each.problem, each.region, each.shorten, is_input=True)
        for each in documents(config)
        if each.is_too_large
    ]


def policy_findings(steps: Sequence[ResourceStep]) -> list[Finding]:
    """An error for each role policy that is wider than its task, and for what is larger than AWS takes.

    What the engine cannot know yet, as it names what is still to be made, is not looked at.

    Args:
        steps: one a resource (`final_steps`).
    """
    changing = [step for step in steps if step.changes and step.op != "delete"]
    return [
        *(
            Finding(
                "policy",
                "error",
                f"{each.step.name}: {fault}",
                each.step.region,
                "this is a defect of the tool",
            )
            for each in policy_documents(changing)
            if each.kind is PolicyKind.IDENTITY and isinstance(each.new, Policy)
            for statement in each.new
            for fault in statement_faults(statement)
        ),
        *(
            Finding("size", "error", f"{step.name}: {fault}", step.region, "shorten what it is made of")
            for step in changing
            for fault in _too_large(step)
        ),
    ]


def _too_large(step: ResourceStep) -> Iterator[str]:
    for quota, size in measured(step.type, step.new):
        if size > quota.most:
            yield f"{quota.of}: {size:,} {quota.unit}, and {quota.most:,} fit ({quota.page})"


def statement_faults(statement: Statement) -> Iterator[str]:
    """What is too wide in one statement of an identity policy."""
    if statement.effect != "Allow":
        return
    actions, resources = statement.actions, statement.resources or ALL
    if actions.is_all_but or resources.is_all_but:
        yield "it allows all but what it names"
    for action in actions.values:
        if "*" in action:
            yield f"it allows the wildcard {action}"
        elif EVERY in resources.values and action not in WITHOUT_RESOURCE:
            yield f"it allows {action} on every resource"
