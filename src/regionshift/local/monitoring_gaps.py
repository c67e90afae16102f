"""Patches of the emulator's CloudWatch and CloudWatch Logs. AWS's behaviour:

- The condition key ``cloudwatch:namespace`` exists (Service Authorization Reference, "Condition keys for Amazon
  CloudWatch"). Without it, a role with that condition can publish no metrics.
- Each combination of dimensions is a metric of its own (CloudWatch User Guide, "Dimensions"). The emulator ignores
  dimensions, so a success would trigger the alarm on errors.
- Alarms are evaluated as time passes. The emulator evaluates an alarm only when a metric is put, so it stays red when
  no more points come. Here it is also evaluated when somebody reads it, once its state is older than its periods.
  Missing points are treated as the alarm says (CloudWatch User Guide, "Configuring how CloudWatch alarms treat missing
  data").
- Actions on a log stream have the ARN ``…:log-group:<name>:log-stream:<stream>``, tagging ``…:log-group:<name>``, and
  all others ``…:log-group:<name>:*`` (CloudWatch Logs User Guide, "Overview of managing access", "ARNs"; Service
  Authorization Reference, "Actions defined by Amazon CloudWatch Logs"). The emulator always uses the second.
- DescribeAlarms returns the time of the last change of state in ``StateTransitionedTimestamp``. A change of the alarm
  does not change it (CloudWatch API Reference, "MetricAlarm"; recorded in localstack/localstack,
  ``tests/aws/services/cloudwatch/test_cloudwatch``). The emulator has it only for composite alarms.
- PutLogEvents refuses events that are not in order of time, and a span of more than 24 hours. It drops events that are
  older than 14 days or more than 2 hours in the future, and returns their indexes (Logs API Reference, "PutLogEvents";
  recorded in ``tests/aws/services/logs/test_logs_events``).

``tests/component/test_cloudwatch_gaps.py`` and ``test_logs_gaps.py`` fail when the emulator no longer needs a patch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, MutableMapping
from types import FunctionType
from typing import Any
from urllib.parse import parse_qs

PUT_METRICS = "cloudwatch:PutMetricData"


def close() -> None:
    """Patch the running ministack."""
    from ministack.core import iam_actions  # type: ignore[import-untyped]
    from ministack.core.responses import error_response_json  # type: ignore[import-untyped]
    from ministack.services import cloudwatch, cloudwatch_logs  # type: ignore[import-untyped]

    iam_actions.request_tag_context = with_namespace(iam_actions.request_tag_context)
    cloudwatch._evaluate_alarm = by_dimensions(cloudwatch._evaluate_alarm, cloudwatch)
    cloudwatch._describe_alarms = as_time_passes(cloudwatch._describe_alarms, cloudwatch, time.time)
    iam_actions.extract_resource_arn = as_aws_asks(iam_actions.extract_resource_arn)
    iam_actions.logs_service_context = with_bare_group(iam_actions.logs_service_context)
    cloudwatch._record_history = noting_transition(cloudwatch._record_history, cloudwatch._alarms)
    cloudwatch._put_metric_alarm = keeping_transition(cloudwatch._put_metric_alarm, cloudwatch._alarms)
    cloudwatch_logs._put_log_events = in_order(
        cloudwatch_logs._put_log_events, error_response_json, time.time
    )


def with_namespace(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Wrap the condition keys of a request: add ``cloudwatch:namespace`` for PutMetricData."""

    def keys(service: str, iam_action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        found = original(service, iam_action, body, params)
        namespace = namespace_of(body) if iam_action == PUT_METRICS else None
        return found if namespace is None else {**found, "cloudwatch:namespace": namespace}

    return keys


def namespace_of(body: bytes) -> str | None:
    """Return the namespace in the body of PutMetricData, which is JSON or a query."""
    if body.startswith(b"{"):
        found = json.loads(body).get("Namespace")
        return found if isinstance(found, str) else None
    return next(iter(parse_qs(body.decode("utf-8", "replace")).get("Namespace", [])), None)


def by_dimensions(original: FunctionType, module: Any) -> Callable[[dict[str, Any]], None]:
    """Wrap the evaluation of an alarm: use only points with exactly the alarm's dimensions."""

    def evaluate(alarm: dict[str, Any]) -> None:
        # The same code with other points, so that the emulator's own store does not change.
        FunctionType(original.__code__, {**vars(module), "_metrics": _own_metrics(alarm, module)})(alarm)

    return evaluate


def _own_metrics(alarm: Mapping[str, Any], module: Any) -> dict[Any, list[dict[str, Any]]]:
    """The metrics with exactly the dimensions of ``alarm``."""
    wanted = module._dims_key({one["Name"]: one["Value"] for one in alarm.get("Dimensions") or []})
    return {key: points for key, points in module._metrics.items() if key[2] == wanted}


_WHEN_MISSING = {"notBreaching": "OK", "breaching": "ALARM", "missing": "INSUFFICIENT_DATA"}


def as_time_passes(original: Callable[..., Any], module: Any, now: Callable[[], float]) -> Callable[..., Any]:
    """Wrap DescribeAlarms: first evaluate the alarms of ``module``.

    Args:
        now: seconds since 1970.
    """

    def describe(*given: Any, **named: Any) -> Any:
        for alarm in list(module._alarms.values()):
            evaluate(alarm)
        return original(*given, **named)

    def evaluate(alarm: dict[str, Any]) -> None:
        begin = now() - alarm.get("Period", 60) * alarm.get("EvaluationPeriods", 1)
        if "MetricName" not in alarm or alarm["StateUpdatedTimestamp"] > begin:
            return  # and a state that was set by hand lasts as long, as tests want it
        metric = (alarm["Namespace"], alarm["MetricName"])
        own = (points for key, points in _own_metrics(alarm, module).items() if key[:2] == metric)
        if any(point["Timestamp"] >= begin for points in own for point in points):
            module._evaluate_alarm(alarm)
            return
        before, after = alarm["StateValue"], _WHEN_MISSING.get(alarm.get("TreatMissingData", "missing"))
        if after is None or after == before:
            return
        reason = "Threshold Crossed: no datapoints were received"
        alarm |= {"StateValue": after, "StateReason": reason, "StateUpdatedTimestamp": int(now())}
        module._record_history(alarm["AlarmName"], before, after, reason)
        module._dispatch_alarm_actions(alarm, before, after, reason)
        module._evaluate_parent_alarms(alarm)

    return describe


_OF_STREAMS = frozenset({"DeleteLogStream", "GetLogEvents", "PutLogEvents"})
_GROUP = ":log-group:"


def as_aws_asks(original: Callable[..., str]) -> Callable[..., str]:
    """Wrap the ARN of a request: use AWS's ARNs of log groups and streams."""

    def resource(
        service: str, method: str, path: str, headers: Mapping[str, str], body: bytes, *more: Any
    ) -> str:
        arn = original(service, method, path, headers, body, *more)
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        # A tagging request has the ARN, in resourceArn.
        if service != "logs" or _GROUP not in arn or "Tag" in action:
            return arn
        if action in _OF_STREAMS:
            return f"{arn}:log-stream:{json.loads(body).get('logStreamName', '')}"
        return f"{arn}:*"

    return resource


def with_bare_group(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Wrap the lookup of a log group's tags: pass the ARN without its suffix."""

    def keys(action: str, body: bytes, resource_arn: str, *more: Any, **named: Any) -> dict[str, Any]:
        head, group, name = resource_arn.partition(_GROUP)
        bare = f"{head}{group}{name.partition(':')[0]}"
        return original(action, body, bare, *more, **named)

    return keys


_SINCE = "StateTransitionedTimestamp"
Alarms = Mapping[str, MutableMapping[str, Any]]


def noting_transition(original: Callable[..., None], alarms: Alarms) -> Callable[..., None]:
    """Wrap the history of an alarm's state: also set the time in the alarm."""

    def record(name: str, *more: Any, **named: Any) -> None:
        original(name, *more, **named)
        if name in alarms:
            alarms[name][_SINCE] = alarms[name]["StateUpdatedTimestamp"]

    return record


def keeping_transition(original: Callable[..., Any], alarms: Alarms) -> Callable[..., Any]:
    """Wrap PutMetricAlarm: keep the time of the last change of state."""

    def put(*given: Any, **named: Any) -> Any:
        before = {name: alarm[_SINCE] for name, alarm in alarms.items()}
        answer = original(*given, **named)
        for name, alarm in alarms.items():
            alarm.setdefault(_SINCE, before.get(name, alarm["StateUpdatedTimestamp"]))
        return answer

    return put


# Milliseconds: of PutLogEvents.
_LONGEST_SPAN = 24 * 3_600_000
_TOO_OLD = 14 * _LONGEST_SPAN
_TOO_NEW = 2 * 3_600_000


def in_order(
    original: Callable[..., Any], refuse: Callable[..., Any], now: Callable[[], float]
) -> Callable[..., Any]:
    """Wrap PutLogEvents: apply AWS's rules for the times of events.

    Args:
        now: returns seconds since 1970.
    """

    def put(data: dict[str, Any]) -> Any:
        times = [int(event["timestamp"]) for event in data.get("logEvents", ())]
        if times != sorted(times):
            message = "Log events in a single PutLogEvents request must be in chronological order."
            return refuse("InvalidParameterException", message, 400)
        present = now() * 1000
        old = sum(each < present - _TOO_OLD for each in times)
        new = next((place for place, each in enumerate(times) if each > present + _TOO_NEW), len(times))
        kept = times[old:new]
        if kept and kept[-1] - kept[0] > _LONGEST_SPAN:
            message = (
                "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
            )
            return refuse("InvalidParameterException", message, 400)
        status, headers, body = original({**data, "logEvents": data.get("logEvents", [])[old:new]})
        rejected = {"tooOldLogEventEndIndex": old} if old else {}
        rejected |= {"tooNewLogEventStartIndex": new} if new < len(times) else {}
        if status == 200 and rejected:
            body = json.dumps({**json.loads(body), "rejectedLogEventsInfo": rejected}).encode()
        return status, headers, body

    return put
