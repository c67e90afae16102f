"""Two gaps of the emulator's CloudWatch, closed inside its process.

- The condition key ``cloudwatch:namespace`` is not known, so a role bound to a namespace may count nothing
  (Service Authorization Reference, "Condition keys for Amazon CloudWatch").
- An alarm looks at a metric's points whatever their dimensions, so a success would turn the alarm on errors
  red (CloudWatch User Guide, "Dimensions": each combination is a metric of its own).

``tests/component/test_cloudwatch_gaps.py`` tells when the emulator no longer needs them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import FunctionType
from typing import Any
from urllib.parse import parse_qs

PUT_METRICS = "cloudwatch:PutMetricData"


def close() -> None:
    """Put the two repairs into the running ministack."""
    from ministack.core import iam_actions  # type: ignore[import-untyped]
    from ministack.services import cloudwatch  # type: ignore[import-untyped]

    iam_actions.request_tag_context = with_namespace(iam_actions.request_tag_context)
    cloudwatch._evaluate_alarm = by_dimensions(cloudwatch._evaluate_alarm, cloudwatch)


def with_namespace(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """The keys of a request as ``original`` gives them, and the namespace of counts."""

    def keys(service: str, iam_action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        found = original(service, iam_action, body, params)
        namespace = namespace_of(body) if iam_action == PUT_METRICS else None
        return found if namespace is None else {**found, "cloudwatch:namespace": namespace}

    return keys


def namespace_of(body: bytes) -> str | None:
    """The namespace in a PutMetricData, in either of the protocols that boto3 and the emulator share."""
    if body.startswith(b"{"):
        found = json.loads(body).get("Namespace")
        return found if isinstance(found, str) else None
    return next(iter(parse_qs(body.decode("utf-8", "replace")).get("Namespace", [])), None)


def by_dimensions(original: FunctionType, module: Any) -> Callable[[dict[str, Any]], None]:
    """``original`` over the points that have just the alarm's dimensions."""

    def evaluate(alarm: dict[str, Any]) -> None:
        wanted = module._dims_key({one["Name"]: one["Value"] for one in alarm.get("Dimensions") or []})
        own = {key: points for key, points in module._metrics.items() if key[2] == wanted}
        # The same code over other points; the emulator's own store is not touched.
        FunctionType(original.__code__, {**vars(module), "_metrics": own})(alarm)

    return evaluate
