"""How long statements are as AWS counts them, and how many policies they need. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

from regionshift.infrastructure.policies.statement import Statement


def length(statements: Sequence[Statement]) -> int:
    """Characters of their policy without white space, as IAM counts (IAM User Guide, "IAM and AWS STS quotas")."""
    return len(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, separators=(",", ":")))


def packed(statements: Sequence[Statement], most: int) -> list[list[Statement]]:
    """The same rights as few policies of ``most`` characters each, in their order.

    A statement that does not fit is divided by its resources: what is allowed for two resources is what is allowed for
    each of them. One that is too long with a single resource stands alone, and is longer than ``most``.
    """
    empty = length([])
    policies: list[list[Statement]] = [[]]
    used = empty
    for statement in statements:
        opening = length([{**statement, "Resource": []}]) - empty + 1  # with the comma between two
        part: Statement | None = None
        for resource in statement["Resource"]:
            size = len(json.dumps(resource)) + 1
            if policies[-1] and used + size + (opening if part is None else 0) > most:
                policies.append([])
                used, part = empty, None
            if part is None:
                part = {**statement, "Resource": []}
                policies[-1].append(part)
                used += opening
            part["Resource"].append(resource)
            used += size
    return policies
