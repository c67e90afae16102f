"""Measure statements as AWS does, and pack them into as few policies as possible. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

from regionshift.infrastructure.policies.statement import Statement


def length(statements: Sequence[Statement]) -> int:
    """Return the characters of their policy without white space, as IAM counts (IAM User Guide, "IAM and AWS STS
    quotas").
    """
    return len(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, separators=(",", ":")))


def packed(statements: Sequence[Statement], most: int) -> list[list[Statement]]:
    """Pack the statements, in order, into as few policies of at most ``most`` characters as possible.

    A statement that does not fit is split by its resources: to allow two resources is to allow each of them. A
    statement that is too long with a single resource gets a policy of its own, which is longer than ``most``.
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
