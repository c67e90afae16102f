"""The dashboards as data: one for each region, and one for all. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from regionshift.infrastructure.alarms import (
    ACTION_ALARMS,
    action_dimensions,
    replication_dimensions,
    state_machine_arn,
)
from regionshift.infrastructure.policies.function import METRIC_NAMESPACE
from regionshift.infrastructure.site import Site
from regionshift.settings import components as named

WIDTH = 24
"""The columns of a dashboard (CloudWatch User Guide, "Dashboard body structure and syntax")."""
HEIGHT = 6
Metric = list[Any]


def region_dashboard(site: Site) -> str:
    """Return the dashboard of the region's function, actions and dead letters (JSON)."""
    function = site.name(named.FUNCTION)
    lambda_metrics: list[Metric] = [
        ["AWS/Lambda", metric, "FunctionName", function] for metric in ("Invocations", "Errors", "Throttles")
    ]
    duration: list[Metric] = [["AWS/Lambda", "Duration", "FunctionName", function, {"stat": "p95"}]]
    letters: list[Metric] = [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", site.name(named.DEAD_LETTERS)]
    ]
    return _body(
        [
            _graph("Function", site.region, lambda_metrics),
            _graph("Duration, p95 (ms)", site.region, duration),
            _graph("Actions", site.region, _actions(site)),
            _graph("Dead letters", site.region, letters),
            _graph("Migrations", site.region, _migrations(site)),
        ]
    )


def overview_dashboard(source: Site, regions: Sequence[Site]) -> str:
    """Return the dashboard of all regions: errors and actions of each, and its delay behind ``source``."""
    errors: list[Metric] = [
        ["AWS/Lambda", "Errors", "FunctionName", site.name(named.FUNCTION), {"region": site.region}]
        for site in regions
    ]
    failed: list[Metric] = [
        [METRIC_NAMESPACE, "ActionCount", *_action(site, action, "error"), {"region": site.region}]
        for site in regions
        for action in ACTION_ALARMS
    ]
    destinations = [site for site in regions if site.region != source.region]
    lag: list[Metric] = [
        [
            "AWS/S3",
            "ReplicationLatency",
            *_flat(replication_dimensions(source, site)),
            {"region": site.region, "stat": "Maximum"},
        ]
        for site in destinations
    ]
    return _body(
        [
            _graph("Function errors", source.region, errors),
            _graph("Actions that failed", source.region, failed),
            *([_graph("Replication latency (s)", source.region, lag)] if lag else []),
        ]
    )


def _migrations(site: Site) -> list[Metric]:
    """Return the widgets of the worker's calls and errors, and of the ends of executions."""
    worker, machine = site.name(named.WORKER), state_machine_arn(site)
    return [
        *(["AWS/Lambda", metric, "FunctionName", worker] for metric in ("Invocations", "Errors")),
        *(
            ["AWS/States", metric, "StateMachineArn", machine]
            for metric in ("ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed")
        ),
    ]


def _actions(site: Site) -> list[Metric]:
    return [
        [METRIC_NAMESPACE, "ActionCount", *_action(site, action, status)]
        for action in ACTION_ALARMS
        for status in ("success", "error")
    ]


def _action(site: Site, action: str, status: str) -> list[str]:
    return _flat(action_dimensions(site, action, status))


def _flat(dimensions: dict[str, str]) -> list[str]:
    return [part for pair in dimensions.items() for part in pair]


def _graph(title: str, region: str, metrics: Sequence[Metric]) -> dict[str, Any]:
    return {
        "type": "metric",
        "properties": {
            "title": title,
            "region": region,
            "view": "timeSeries",
            "stat": "Sum",
            "period": 300,
            "metrics": list(metrics),
        },
    }


def _body(graphs: Sequence[dict[str, Any]]) -> str:
    half = WIDTH // 2
    widgets = [
        {**graph, "x": half * (place % 2), "y": HEIGHT * (place // 2), "width": half, "height": HEIGHT}
        for place, graph in enumerate(graphs)
    ]
    return json.dumps({"widgets": widgets})
