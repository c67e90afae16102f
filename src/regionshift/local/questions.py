"""Log each evaluation of a role's policies, with the statements that allow it.

After a run, the log shows which statements of a role are needed: those that alone allow some request. The log has JSON
objects, one on each line, without duplicates:

    role, action, resource, region
        the request.
    allowed
        the result of all policies: the role's, its boundary's and the resource's own.
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
    """Start the log in the file ``to``. Call this before any other patch of ministack."""
    from ministack.core import iam_evaluator  # type: ignore[import-untyped]
    from ministack.services import iam  # type: ignore[import-untyped]

    questions = Questions(iam_evaluator, to)
    iam_evaluator.evaluate = questions.noting(iam_evaluator.evaluate)
    iam_evaluator.evaluate_resource_policy = apart(iam_evaluator.evaluate_resource_policy)
    iam._simulate_principal_policy = apart(iam._simulate_principal_policy)


def apart(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap an evaluation that is not logged: of a resource's policy, or of a simulation."""

    def evaluate(*given: Any, **named: Any) -> Any:
        before = _apart.set(True)
        try:
            return original(*given, **named)
        finally:
            _apart.reset(before)

    return evaluate


class Questions:
    """The log of the emulator's ``evaluator``, in the file ``to``."""

    def __init__(self, evaluator: Any, to: Path) -> None:
        self._evaluator = evaluator
        self._file = to.open("a", buffering=1, encoding="utf-8")
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def noting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the evaluation of the caller's policies and boundary: log it."""

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
        """Whether the request is allowed, with the resource's own policy if it has one."""
        service = context.action.partition(":")[0]
        found = self._evaluator._resource_policy(service, context.resource_arn)
        if found is not None:
            required = service in self._evaluator._POLICY_REQUIRED
            decided = self._evaluator.combine_resource_policy(
                decided, context, *found, required=required, limits=limits
            )
        return bool(decided.decision == "Allow")
