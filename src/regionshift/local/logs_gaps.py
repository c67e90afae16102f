"""A gap of the emulator's CloudWatch Logs, closed inside its process.

It asks policies about ``…:log-group:<name>`` whatever the action, so a role that is scoped as AWS wants it
may not write a line. On AWS only tagging is asked about that; writing to, reading from and deleting a
stream is about ``…:log-group:<name>:log-stream:<stream>``, everything else about ``…:log-group:<name>:*``
(CloudWatch Logs User Guide, "Overview of managing access", "ARNs"; Service Authorization Reference, "Actions
defined by Amazon CloudWatch Logs").

``tests/component/test_logs_gaps.py`` tells when the emulator no longer needs it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

_OF_STREAMS = frozenset({"DeleteLogStream", "GetLogEvents", "PutLogEvents"})
_GROUP = ":log-group:"


def close() -> None:
    """Put the repair into the running ministack."""
    from ministack.core import iam_actions  # type: ignore[import-untyped]

    iam_actions.extract_resource_arn = as_aws_asks(iam_actions.extract_resource_arn)
    iam_actions.logs_service_context = with_bare_group(iam_actions.logs_service_context)


def as_aws_asks(original: Callable[..., str]) -> Callable[..., str]:
    """The resource of a request as ``original`` gives it, but a log group's as AWS has it."""

    def resource(
        service: str, method: str, path: str, headers: Mapping[str, str], body: bytes, *more: Any
    ) -> str:
        arn = original(service, method, path, headers, body, *more)
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        # Tagging brings the ARN itself, in resourceArn.
        if service != "logs" or _GROUP not in arn or "Tag" in action:
            return arn
        if action in _OF_STREAMS:
            return f"{arn}:log-stream:{json.loads(body).get('logStreamName', '')}"
        return f"{arn}:*"

    return resource


def with_bare_group(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """``original``, which looks for a group's tags by its ARN, with the ARN it knows."""

    def keys(action: str, body: bytes, resource_arn: str, *more: Any, **named: Any) -> dict[str, Any]:
        head, group, name = resource_arn.partition(_GROUP)
        bare = f"{head}{group}{name.partition(':')[0]}"
        return original(action, body, bare, *more, **named)

    return keys
