"""The emulator's CloudWatch, repaired; and whether it still needs to be."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from regionshift.aws.clients import Clients
from regionshift.local.monitoring_gaps import (
    PUT_METRICS,
    as_time_passes,
    keeping_transition,
    namespace_of,
    noting_transition,
)

REGION = "eu-north-1"
ERROR = [{"Name": "Action", "Value": "validate"}, {"Name": "Status", "Value": "error"}]
SUCCESS = [{"Name": "Action", "Value": "validate"}, {"Name": "Status", "Value": "success"}]


def state_after(clients: Clients, dimensions: list[dict[str, str]]) -> str:
    cloudwatch = clients.get("cloudwatch", REGION)
    name, space = f"alarm-{time.time_ns()}", f"Gaps{time.time_ns()}"
    common: dict[str, Any] = {"MetricName": "ActionCount", "Dimensions": ERROR, "Namespace": space}
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        **common,
    )
    data: Any = [{"MetricName": "ActionCount", "Dimensions": dimensions, "Value": 1.0}]
    cloudwatch.put_metric_data(Namespace=space, MetricData=data)
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return alarm["StateValue"]


def test_an_alarm_turns_red_by_its_own_dimensions(clients: Clients) -> None:
    assert state_after(clients, ERROR) == "ALARM"


def test_an_alarm_is_not_turned_by_other_dimensions(clients: Clients) -> None:
    assert state_after(clients, SUCCESS) != "ALARM"


def test_an_alarm_tells_since_when_it_is_in_its_state(clients: Clients) -> None:
    cloudwatch, name = clients.get("cloudwatch", REGION), f"alarm-{time.time_ns()}"
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace=name,
        MetricName="ActionCount",
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )
    (made,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert made["StateTransitionedTimestamp"] == made["StateUpdatedTimestamp"]


def test_only_another_state_changes_since_when() -> None:
    alarms: dict[str, dict[str, Any]] = {"other": {"StateUpdatedTimestamp": 1}}

    def put(**fields: Any) -> None:
        alarms["mine"] = {"StateUpdatedTimestamp": 2, **fields}

    record = noting_transition(lambda *_: None, alarms)
    keep = keeping_transition(put, alarms)
    alarms["other"]["StateTransitionedTimestamp"] = 1
    keep()
    assert alarms["mine"]["StateTransitionedTimestamp"] == 2
    alarms["mine"]["StateUpdatedTimestamp"] = 3  # judged again, with the same outcome
    record("mine", "OK", "ALARM")
    alarms["mine"]["StateUpdatedTimestamp"] = 4
    keep(AlarmDescription="another")
    assert alarms["mine"]["StateTransitionedTimestamp"] == 3
    assert alarms["other"]["StateTransitionedTimestamp"] == 1


@pytest.mark.parametrize(
    ("missing", "point", "after"),
    [
        ("notBreaching", None, "OK"),
        ("missing", None, "INSUFFICIENT_DATA"),
        ("ignore", None, "ALARM"),
        ("breaching", None, "ALARM"),
        ("notBreaching", (1.0, ERROR), "evaluated"),
        ("notBreaching", (1.0, SUCCESS), "OK"),
    ],
)
def test_an_alarm_follows_the_time_that_passes(
    missing: str, point: tuple[float, list[dict[str, str]]] | None, after: str
) -> None:
    alarm: dict[str, Any] = {
        "AlarmName": "a", "Namespace": "N", "MetricName": "M", "Dimensions": ERROR, "TreatMissingData": missing,
        "Period": 300, "EvaluationPeriods": 1, "StateValue": "ALARM", "StateUpdatedTimestamp": 1000,
    }  # fmt: skip
    told: list[tuple[str, str]] = []
    clock, points = [1299.0], {}
    if point:
        value, dimensions = point
        key = ("N", "M", str({each["Name"]: each["Value"] for each in dimensions}))
        points[key] = [{"Timestamp": 1400.0, "Value": value}]
    module = SimpleNamespace(
        _alarms={"a": alarm},
        _metrics=points,
        _dims_key=str,
        _evaluate_alarm=lambda each: each.update(StateValue="evaluated"),
        _record_history=lambda _, before, after, __: told.append((before, after)),
        _dispatch_alarm_actions=lambda *_: None,
        _evaluate_parent_alarms=lambda *_: None,
    )
    describe = as_time_passes(lambda: alarm["StateValue"], module, lambda: clock[0])
    assert describe() == "ALARM"
    clock[0] = 1301.0
    assert describe() == after
    assert told == ([("ALARM", after)] if after in ("OK", "INSUFFICIENT_DATA") else [])


def test_the_emulator_still_needs_the_time_that_passes() -> None:
    """When this fails, `as_time_passes` can go."""
    from ministack.services import cloudwatch

    assert "TreatMissingData" not in cloudwatch._evaluate_alarm.__code__.co_consts


@pytest.mark.parametrize("body", [b'{"Namespace": "N"}', b"Action=PutMetricData&Namespace=N"])
def test_the_namespace_is_read_in_every_protocol(body: bytes) -> None:
    assert namespace_of(body) == "N"


def test_the_emulator_still_needs_the_namespace() -> None:
    """When this fails, `with_namespace` can go."""
    from ministack.core import iam_actions

    found = iam_actions.request_tag_context("monitoring", PUT_METRICS, b'{"Namespace": "N"}', {})
    assert "cloudwatch:namespace" not in {key.lower() for key in found}


def test_the_emulator_still_needs_the_time_of_a_transition() -> None:
    """When this fails, `noting_transition` and `keeping_transition` can go."""
    from ministack.services import cloudwatch

    assert "StateTransitionedTimestamp" not in cloudwatch._evaluate_alarm.__code__.co_consts


def test_the_emulator_still_needs_the_dimensions() -> None:
    """When this fails, `by_dimensions` can go."""
    from ministack.services import cloudwatch

    assert "Dimensions" not in cloudwatch._evaluate_alarm.__code__.co_consts
