"""Gaps of the emulator's CloudWatch and CloudWatch Logs, closed inside its process.

- The condition key ``cloudwatch:namespace`` is not known, so a role bound to a namespace may count nothing
  (Service Authorization Reference, "Condition keys for Amazon CloudWatch").
- An alarm looks at a metric's points whatever their dimensions, so a success would turn the alarm on errors
  red (CloudWatch User Guide, "Dimensions": each combination is a metric of its own).
- Policies are asked about ``…:log-group:<name>`` whatever the action, so a role that is scoped as AWS wants it
  may not write a line. On AWS only tagging is asked about that; writing to, reading from and deleting a
  stream is about ``…:log-group:<name>:log-stream:<stream>``, everything else about ``…:log-group:<name>:*``
  (CloudWatch Logs User Guide, "Overview of managing access", "ARNs"; Service Authorization Reference, "Actions
  defined by Amazon CloudWatch Logs").

``tests/component/test_cloudwatch_gaps.py`` and ``test_logs_gaps.py`` tell when the emulator no longer needs them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any
from urllib.parse import parse_qs

PUT_METRICS = "cloudwatch:PutMetricData"


def close() -> None:
    """Put the repairs into the running ministack."""
    from ministack.core import iam_actions  # type: ignore[import-untyped]
    from ministack.services import cloudwatch  # type: ignore[import-untyped]

    iam_actions.request_tag_context = with_namespace(iam_actions.request_tag_context)
    cloudwatch._evaluate_alarm = by_dimensions(cloudwatch._evaluate_alarm, cloudwatch)
    iam_actions.extract_resource_arn = as_aws_asks(iam_actions.extract_resource_arn)
    iam_actions.logs_service_context = with_bare_group(iam_actions.logs_service_context)


def with_namespace(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """``original``, which gives a request's condition keys, with ``cloudwatch:namespace`` added for PutMetricData."""

    def keys(service: str, iam_action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        found = original(service, iam_action, body, params)
        namespace = namespace_of(body) if iam_action == PUT_METRICS else None
        return found if namespace is None else {**found, "cloudwatch:namespace": namespace}

    return keys


def namespace_of(body: bytes) -> str | None:
    """The namespace in the body of a PutMetricData, whether boto3 sent JSON or a query."""
    if body.startswith(b"{"):
        found = json.loads(body).get("Namespace")
        return found if isinstance(found, str) else None
    return next(iter(parse_qs(body.decode("utf-8", "replace")).get("Namespace", [])), None)


def by_dimensions(original: FunctionType, module: Any) -> Callable[[dict[str, Any]], None]:
    """``original``, which evaluates an alarm, given only the points with exactly the alarm's dimensions."""

    def evaluate(alarm: dict[str, Any]) -> None:
        wanted = module._dims_key({one["Name"]: one["Value"] for one in alarm.get("Dimensions") or []})
        own = {key: points for key, points in module._metrics.items() if key[2] == wanted}
        # The same code over other points; the emulator's own store is not touched.
        FunctionType(original.__code__, {**vars(module), "_metrics": own})(alarm)

    return evaluate


_OF_STREAMS = frozenset({"DeleteLogStream", "GetLogEvents", "PutLogEvents"})
_GROUP = ":log-group:"


def as_aws_asks(original: Callable[..., str]) -> Callable[..., str]:
    """``original``, which gives the ARN a request is about, with the ARN of a log group as AWS writes it."""

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
    """``original``, which looks up a log group's tags, called with the bare ARN that it knows."""

    def keys(action: str, body: bytes, resource_arn: str, *more: Any, **named: Any) -> dict[str, Any]:
        head, group, name = resource_arn.partition(_GROUP)
        bare = f"{head}{group}{name.partition(':')[0]}"
        return original(action, body, bare, *more, **named)

    return keys
