"""Faults of the policies that a change would write, before it writes them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from regionshift.engine.events import ResourceStep
from regionshift.infrastructure.policies.statement import WITHOUT_RESOURCE
from regionshift.report.values import Finding

_ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
# IAM User Guide, "IAM and AWS STS quotas": all inline policies of a role together, white space not counted.
MOST_CHARACTERS = 10_240


def policy_findings(steps: Sequence[ResourceStep]) -> list[Finding]:
    """An error for each role policy that is wider than its task or longer than IAM takes.

    A policy that the engine cannot know yet, as it names what is still to be made, is not looked at.

    Args:
        steps: one a resource (`final_steps`), or a policy would count as often as the engine tells of it.
    """
    found: list[Finding] = []
    length: Counter[tuple[str, str]] = Counter()
    for step in steps:
        if step.type != _ROLE_POLICY or step.op == "delete":
            continue
        statements = _statements(step.new.get("policy"))
        if statements is None:
            continue
        length[(step.region or "", str(step.new.get("role")))] += _length(statements)
        if step.changes:
            found += [
                Finding(
                    "policy", "error", f"{step.name}: {fault}", step.region, "this is a defect of the tool"
                )
                for statement in statements
                for fault in statement_faults(statement)
            ]
    return found + [
        Finding(
            "policy",
            "error",
            f"the policies of {role} have {size} characters, and IAM takes {MOST_CHARACTERS}",
            region or None,
            "shorten `carry`: each entry and each secret of it adds to the policy",
        )
        for (region, role), size in length.items()
        if size > MOST_CHARACTERS
    ]


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


def _statements(text: object) -> list[Mapping[str, Any]] | None:
    if not isinstance(text, str):
        return None
    try:
        found = json.loads(text)["Statement"]
    except (ValueError, TypeError, KeyError):
        return None  # not known before it is made
    return list(found) if isinstance(found, list) else [found]


def _length(statements: Sequence[Mapping[str, Any]]) -> int:
    return len(json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":")))


def _many(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [str(each) for each in value or ()]  # type: ignore[attr-defined]
