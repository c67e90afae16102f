"""A secret's rotation in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def rotation(found: Mapping[str, Any]) -> str:
    """When and by whom, from what DescribeSecret says (Secrets Manager API Reference, "RotationRulesType")."""
    rules = found.get("RotationRules") or {}
    words = []
    if rules.get("ScheduleExpression"):
        words.append(str(rules["ScheduleExpression"]))
    elif rules.get("AutomaticallyAfterDays"):
        words.append(f"every {rules['AutomaticallyAfterDays']} days")
    if rules.get("Duration"):
        words.append(f"within {rules['Duration']}")
    if found.get("RotationLambdaARN"):
        words.append(f"by {found['RotationLambdaARN'].rpartition(':')[2]}")
    elif found.get("OwningService"):
        words.append(f"by {found['OwningService']}")
    return ", ".join(words) or "no rules given"
