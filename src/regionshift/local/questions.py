"""Every question that policies are asked about a role, written down with the statements that answer it.

So one run of anything tells for each statement of a role's policies whether something needs it: a question that this
statement alone allows is refused without it. A file of JSON objects, one a line, each once:

    role, action, resource, region
        who wants to do what to what, and where the request was made.
    allowed
        by everything together: the role's policies, its boundary, the resource's own policy.
    by
        the Sids of the role's statements that allow it.
    needs
        the Sid of the one statement without which it would be refused; null when there is none, or more than one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

_apart: ContextVar[bool] = ContextVar("no question about a role's own policies", default=False)


def write_down(to: Path) -> None:
    """Begin to write into ``to``; before any other repair of the running ministack."""
    from ministack.core import iam_evaluator  # type: ignore[import-untyped]
    from ministack.services import iam  # type: ignore[import-untyped]

    questions = Questions(iam_evaluator, to)
    iam_evaluator.evaluate = questions.noting(iam_evaluator.evaluate)
    iam_evaluator.evaluate_resource_policy = apart(iam_evaluator.evaluate_resource_policy)
    iam._simulate_principal_policy = apart(iam._simulate_principal_policy)


def apart(original: Callable[..., Any]) -> Callable[..., Any]:
    """``original``, whose evaluations are not written down: of a resource's policy, or of what is only simulated."""

    def evaluate(*given: Any, **named: Any) -> Any:
        before = _apart.set(True)
        try:
            return original(*given, **named)
        finally:
            _apart.reset(before)

    return evaluate


class Questions:
    """What was asked of the emulator's ``evaluator`` so far, in the file ``to``."""

    def __init__(self, evaluator: Any, to: Path) -> None:
        self._evaluator = evaluator
        self._file = to.open("a", buffering=1, encoding="utf-8")
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def noting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """``original``, which decides about a request by the policies of whoever makes it, and its limits."""

        def evaluate(context: Any, policies: Any, *limits: Any) -> Any:
            decided = original(context, policies, *limits)
            if context.principal_type == "AssumedRole" and not _apart.get():
                self._note(context, policies, limits, decided)
            return decided

        return evaluate

    def _note(self, context: Any, policies: Any, limits: Any, decided: Any) -> None:
        first = self._evaluator._first_match
        by = [each for policy in policies for each in policy if first(context, [each], "Allow")]
        allowed = self._is_allowed(context, decided, limits)
        is_needed = False
        if allowed and len(by) == 1:
            without = [[each for each in policy if each is not by[0]] for policy in policies]
            refused = apart(self._evaluator.evaluate)(context, without, *limits)
            is_needed = not self._is_allowed(context, refused, limits)
        told = json.dumps(
            {
                "role": context.principal_arn.split("/")[1],
                "action": context.action,
                "resource": context.resource_arn,
                "region": context.region,
                "allowed": allowed,
                "by": [each.sid for each in by],
                "needs": by[0].sid if is_needed else None,
            }
        )
        with self._lock:
            if told not in self._known:
                self._known.add(told)
                self._file.write(told + "\n")

    def _is_allowed(self, context: Any, decided: Any, limits: Any) -> bool:
        """By the resource's own policy too, where it has one."""
        service = context.action.partition(":")[0]
        found = self._evaluator._resource_policy(service, context.resource_arn)
        if found is not None:
            required = service in self._evaluator._POLICY_REQUIRED
            decided = self._evaluator.combine_resource_policy(
                decided, context, *found, required=required, limits=limits
            )
        return bool(decided.decision == "Allow")
