"""How long a bake must be: as long as the longest window of all alarms that it relies on, whatever their kind."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from regionshift.aws.clients import Clients
from regionshift.operations.alarms import WINDOW, Watched, window_of, without_data
from regionshift.operations.obstacles import before_waves
from regionshift.operations.waves.facts import Terms
from regionshift.releases import DeployedReleases
from regionshift.runs.deployment_state import RegionState
from regionshift.settings.config import MigrationConfig

REGION = "eu-west-1"


@dataclass
class Alarms:
    """CloudWatch's answer to DescribeAlarms, as its API reference has it."""

    metric: dict[str, dict[str, Any]] = field(default_factory=dict)
    composite: dict[str, str] = field(default_factory=dict)

    def named(self, service: str, region: str) -> Any:
        assert (service, region) == ("cloudwatch", REGION)
        return self

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, *, AlarmNames: list[str], **_: Any) -> list[dict[str, Any]]:  # noqa: N803 - boto3's name
        assert len(AlarmNames) <= 100
        return [
            {
                "MetricAlarms": [{"AlarmName": n, **self.metric[n]} for n in AlarmNames if n in self.metric],
                "CompositeAlarms": [
                    {"AlarmName": n, "AlarmRule": self.composite[n]}
                    for n in AlarmNames
                    if n in self.composite
                ],
            }
        ]

    def window(self, name: str) -> int:
        found = window_of(cast(Clients, self), Watched(name, REGION))
        assert found is not None
        return found


class Closed(Alarms):
    """CloudWatch for somebody who may not ask it."""

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        error = {"Code": "AccessDenied", "Message": "not authorized: cloudwatch:DescribeAlarms"}
        raise ClientError({"Error": error}, "DescribeAlarms")


def _math(*periods: int, evaluations: int) -> dict[str, Any]:
    parts = [{"Id": f"m{n}", "MetricStat": {"Metric": {}, "Period": p}} for n, p in enumerate(periods)]
    return {"EvaluationPeriods": evaluations, "Metrics": [{"Id": "e", "Expression": "m0/m1"}, *parts]}


def test_metric_math_counts_the_periods_of_its_parts() -> None:
    alarms = Alarms({"math": _math(60, 900, evaluations=3), "short": _math(60, evaluations=1)})
    assert alarms.window("math") == 2700
    assert alarms.window("short") == WINDOW
    query = {"Id": "q", "Expression": "SELECT SUM(Errors) FROM AWS_Lambda", "Period": 1200}
    assert Alarms({"query": {"EvaluationPeriods": 1, "Metrics": [query]}}).window("query") == 1200


@pytest.mark.parametrize(
    "rule",
    [
        'ALARM("long one") AND NOT OK(other)',
        "(INSUFFICIENT_DATA(other) OR ALARM('long one'))",
        "ALARM(other) OR OK( arn:aws:cloudwatch:eu-west-1:123456789012:alarm:long one )",
        'ALARM("below")',
    ],
)
def test_a_composite_alarm_counts_those_that_it_looks_at(rule: str) -> None:
    long = {"Period": 3600, "EvaluationPeriods": 2}
    composite = {"top": rule, "below": 'ALARM(top) OR ALARM("long one")'}
    assert Alarms({"long one": long}, composite).window("top") == 7200


def test_alarms_that_may_not_be_read_stop_a_deployment_with_a_sentence() -> None:
    values = {
        "project": "shop",
        "environment": "dev",
        "account": "123456789012",
        "regions": {"primary": REGION},
        "network": {"vpc_cidr": "10.0.0.0/16"},
    }
    config = MigrationConfig.model_validate(values)
    environment = cast(
        Any,
        SimpleNamespace(config=config, called_config=config, regions=config.all_regions, clients=Closed()),
    )
    journal = cast(Any, SimpleNamespace(history=list))
    deployed = DeployedReleases({REGION: RegionState("a" * 64)})
    for target in ({}, {REGION: "b" * 64}):
        (finding,) = before_waves(environment, journal, deployed, target, Terms()).findings
        assert "cloudwatch:DescribeAlarms" in finding.message
        assert (finding.region, finding.severity) == (REGION, "error" if target else "warning")
        assert finding.remedy


@pytest.mark.component
def test_an_alarm_has_data_when_any_of_its_metrics_has_a_point(clients: Clients) -> None:
    cloudwatch, space = clients.get("cloudwatch", REGION), f"Data{time.time_ns()}"
    common: Any = {"EvaluationPeriods": 1, "Threshold": 0, "ComparisonOperator": "GreaterThanThreshold"}
    one: Any = {"Namespace": space, "Dimensions": [{"Name": "Of", "Value": "one"}]}
    other: Any = {**one, "Dimensions": [{"Name": "Of", "Value": "other"}]}
    for name, metric in (("one", one), ("other", other)):
        cloudwatch.put_metric_alarm(
            AlarmName=f"{space}-{name}", MetricName="Calls", Statistic="Sum", Period=300, **metric, **common
        )
    cloudwatch.put_metric_data(
        Namespace=space, MetricData=[{"MetricName": "Calls", "Dimensions": one["Dimensions"], "Value": 0.0}]
    )
    now, names = datetime.now(UTC), {f"{space}-one", f"{space}-other", f"{space}-not-there"}
    began, ended = now - timedelta(minutes=5), now + timedelta(minutes=1)
    # A point of the value 0 is a point: something was seen, and nothing was wrong.
    assert without_data(clients, REGION, names, began, ended) == [f"{space}-other"]
    cloudwatch.delete_alarms(AlarmNames=sorted(names))
