"""Faults of what a change would write, before it writes it: policies too wide, documents too large."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from regionshift.engine.events import ResourceStep
from regionshift.infrastructure.policies.statement import WITHOUT_RESOURCE
from regionshift.infrastructure.sizes import documents, measured
from regionshift.report.values import Finding
from regionshift.settings.config import MigrationConfig

_OF_ROLES = ("aws:iam/policy:Policy", "aws:iam/rolePolicy:RolePolicy")


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
            Finding("policy", "error", f"{step.name}: {fault}", step.region, "this is a defect of the tool")
            for step in changing
            if step.type in _OF_ROLES
            for statement in _statements(step.new.get("policy"))
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


def statement_faults(statement: Mapping[str, Any]) -> Iterator[str]:
    """What is too wide in one statement of an identity policy."""
    if statement.get("Effect") != "Allow":
        return
    actions, resources = _many(statement.get("Action")), _many(statement.get("Resource"))
    if "NotAction" in statement or "NotResource" in statement:
        yield "it allows all but what it names"
    for action in actions:
        if "*" in action:
            yield f"it allows the wildcard {action}"
        elif "*" in resources and action not in WITHOUT_RESOURCE:
            yield f"it allows {action} on every resource"


def _statements(text: object) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(text)["Statement"] if isinstance(text, str) else []
    except (ValueError, TypeError, KeyError):
        return []  # not known before it is made
    return list(found) if isinstance(found, list) else [found]


def _many(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [str(each) for each in value or ()]  # type: ignore[attr-defined]
