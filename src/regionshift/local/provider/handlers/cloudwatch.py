"""CloudWatch alarms on metrics, and dashboards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from regionshift.local.provider.absent import Taken, look
from regionshift.local.provider.fields import Field, Mistake, Shape
from regionshift.local.provider.handler import Change, Context, Handler
from regionshift.local.provider.tags import from_list, to_list
from regionshift.local.provider.wire import Properties

_COMPARISONS = (
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
    "LessThanLowerOrGreaterThanUpperThreshold",
    "LessThanLowerThreshold",
    "GreaterThanUpperThreshold",
)
_STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
_MISSING = ("breaching", "notBreaching", "ignore", "missing")
_SHORT_PERIODS = (10, 20, 30)  # seconds; else a multiple of 60 (CloudWatch API Reference, PutMetricAlarm)

_METRIC = {
    "metricName": Field(required=True),
    "namespace": Field(),
    "period": Field(Shape.INTEGER, required=True),
    "stat": Field(required=True),
    "dimensions": Field(Shape.MAP),
    "unit": Field(),
}
_QUERY = {
    "id": Field(required=True),
    "expression": Field(),
    "label": Field(),
    "period": Field(Shape.INTEGER),
    "accountId": Field(),
    "returnData": Field(Shape.FLAG, default=False),
    "metric": Field(Shape.OBJECT, items=_METRIC),
}
# Properties that PutMetricAlarm takes and DescribeAlarms tells as they are.
_PLAIN = {
    "comparisonOperator": "ComparisonOperator",
    "evaluationPeriods": "EvaluationPeriods",
    "actionsEnabled": "ActionsEnabled",
    "alarmActions": "AlarmActions",
    "okActions": "OKActions",
    "insufficientDataActions": "InsufficientDataActions",
    "alarmDescription": "AlarmDescription",
    "datapointsToAlarm": "DatapointsToAlarm",
    "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
    "extendedStatistic": "ExtendedStatistic",
    "metricName": "MetricName",
    "namespace": "Namespace",
    "period": "Period",
    "statistic": "Statistic",
    "threshold": "Threshold",
    "thresholdMetricId": "ThresholdMetricId",
    "treatMissingData": "TreatMissingData",
    "unit": "Unit",
}


class MetricAlarm(Handler):
    """An alarm on a metric or on an expression. Everything but the name changes in place."""

    token = "aws:cloudwatch/metricAlarm:MetricAlarm"
    taggable = True
    name = "name"
    fields = {
        "name": Field(required=True, replaces=True, pattern=r".{1,255}"),
        "comparisonOperator": Field(required=True, allowed=_COMPARISONS),
        "evaluationPeriods": Field(Shape.INTEGER, required=True, minimum=1),
        "actionsEnabled": Field(Shape.FLAG, default=True),
        "alarmActions": Field(Shape.SET),
        "okActions": Field(Shape.SET),
        "insufficientDataActions": Field(Shape.SET),
        "alarmDescription": Field(pattern=r"(?s).{0,1024}"),
        "datapointsToAlarm": Field(Shape.INTEGER, minimum=1),
        "dimensions": Field(Shape.MAP),
        # CloudWatch tells it back, the emulator does not.
        "evaluateLowSampleCountPercentiles": Field(
            computed=True, opaque=True, allowed=("evaluate", "ignore")
        ),
        "extendedStatistic": Field(),
        "metricName": Field(),
        "metricQueries": Field(Shape.SET, items=_QUERY),
        "namespace": Field(),
        "period": Field(Shape.INTEGER),
        "statistic": Field(allowed=_STATISTICS),
        "threshold": Field(Shape.NUMBER),
        "thresholdMetricId": Field(),
        "treatMissingData": Field(default="missing", allowed=_MISSING),
        "unit": Field(),
    }
    outputs = ("arn",)

    def mistakes(self, inputs: Properties) -> Iterator[Mistake]:
        period = inputs.get("period")
        if isinstance(period, int) and period not in _SHORT_PERIODS and (period < 60 or period % 60):
            yield Mistake("period", "must be 10, 20, 30 or a multiple of 60 seconds")
        if (inputs.get("metricName") is None) == (inputs.get("metricQueries") is None):
            yield Mistake("metricName", "exactly one of metricName and metricQueries must be given")
        if inputs.get("metricName") is not None and (
            (inputs.get("statistic") is None) == (inputs.get("extendedStatistic") is None)
        ):
            yield Mistake("statistic", "exactly one of statistic and extendedStatistic must be given")

    def find(self, context: Context, inputs: Properties) -> str | None:
        cloudwatch = context.client("cloudwatch")
        alarm = _alarm(cloudwatch, inputs["name"])
        found = alarm is not None and context.owns(_tags(cloudwatch, alarm))
        return str(inputs["name"]) if found else None

    def create(self, context: Context, inputs: Properties) -> str:
        cloudwatch = context.client("cloudwatch")
        if _alarm(cloudwatch, inputs["name"]) is not None:
            raise Taken(f"the alarm {inputs['name']}", context.region)  # putting it would overwrite it
        cloudwatch.put_metric_alarm(**_arguments(inputs), Tags=to_list(context.tags(inputs)))
        return str(inputs["name"])

    def read(self, context: Context, identity: str) -> Properties | None:
        cloudwatch = context.client("cloudwatch")
        alarm = _alarm(cloudwatch, identity)
        if alarm is None:
            return None
        told = {name: alarm.get(key) for name, key in _PLAIN.items()}
        if told["extendedStatistic"]:
            told["statistic"] = None  # CloudWatch leaves it out, the emulator says Average
        return {
            **told,
            "arn": alarm["AlarmArn"],
            "name": identity,
            "dimensions": from_list(alarm.get("Dimensions", []), key="Name"),
            "metricQueries": [_query(query) for query in alarm.get("Metrics", [])],
            "tags": _tags(cloudwatch, alarm),
        }

    def update(self, context: Context, identity: str, change: Change) -> None:
        context.client("cloudwatch").put_metric_alarm(**_arguments(change.news))

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("cloudwatch").delete_alarms(AlarmNames=[identity])

    def tag(self, context: Context, identity: str, tags: dict[str, str]) -> None:
        arn = self._arn(context, identity)
        context.client("cloudwatch").tag_resource(ResourceARN=arn, Tags=to_list(tags))

    def untag(self, context: Context, identity: str, names: list[str]) -> None:
        arn = self._arn(context, identity)
        context.client("cloudwatch").untag_resource(ResourceARN=arn, TagKeys=names)

    def _arn(self, context: Context, identity: str) -> str:
        return f"arn:aws:cloudwatch:{context.region}:{context.account}:alarm:{identity}"


def _alarm(cloudwatch: Any, name: str) -> Mapping[str, Any] | None:
    alarms = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm"])["MetricAlarms"]
    return next(iter(alarms), None)


def _tags(cloudwatch: Any, alarm: Mapping[str, Any]) -> dict[str, str]:
    return from_list(cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"]).get("Tags", []))


def _arguments(inputs: Properties) -> dict[str, Any]:
    arguments = {key: inputs.get(name) for name, key in _PLAIN.items()}
    arguments["AlarmName"] = inputs["name"]
    arguments["Dimensions"] = _dimensions(inputs.get("dimensions"))
    arguments["Metrics"] = [_query_argument(query) for query in inputs.get("metricQueries") or []] or None
    return {key: value for key, value in arguments.items() if value is not None}


def _dimensions(dimensions: Mapping[str, str] | None) -> list[dict[str, str]] | None:
    return to_list(dimensions, key="Name") if dimensions else None


def _query_argument(query: Properties) -> dict[str, Any]:
    metric = query.get("metric")
    argument = {
        "Id": query["id"],
        "Expression": query.get("expression"),
        "Label": query.get("label"),
        "Period": query.get("period"),
        "AccountId": query.get("accountId"),
        "ReturnData": query.get("returnData", False),
        "MetricStat": None if metric is None else _statistic_argument(metric),
    }
    return {key: value for key, value in argument.items() if value is not None}


def _statistic_argument(metric: Properties) -> dict[str, Any]:
    named = {
        "Namespace": metric.get("namespace"),
        "MetricName": metric["metricName"],
        "Dimensions": _dimensions(metric.get("dimensions")),
    }
    statistic = {
        "Metric": {key: value for key, value in named.items() if value is not None},
        "Period": metric["period"],
        "Stat": metric["stat"],
        "Unit": metric.get("unit"),
    }
    return {key: value for key, value in statistic.items() if value is not None}


def _query(query: Mapping[str, Any]) -> Properties:
    statistic = query.get("MetricStat")
    return {
        "id": query["Id"],
        "expression": query.get("Expression"),
        "label": query.get("Label"),
        "period": query.get("Period"),
        "accountId": query.get("AccountId"),
        "returnData": query.get("ReturnData", False),
        "metric": None if not statistic else _metric(statistic),
    }


def _metric(statistic: Mapping[str, Any]) -> Properties:
    metric = statistic["Metric"]
    return {
        "metricName": metric["MetricName"],
        "namespace": metric.get("Namespace"),
        "dimensions": from_list(metric.get("Dimensions", []), key="Name"),
        "period": statistic["Period"],
        "stat": statistic["Stat"],
        "unit": statistic.get("Unit"),
    }


class Dashboard(Handler):
    """A dashboard; its body changes in place."""

    token = "aws:cloudwatch/dashboard:Dashboard"
    name = "dashboardName"
    fields = {
        "dashboardName": Field(required=True, replaces=True, pattern=r"[A-Za-z0-9_-]{1,255}"),
        "dashboardBody": Field(Shape.DOCUMENT, required=True),
    }
    outputs = ("dashboardArn",)

    def create(self, context: Context, inputs: Properties) -> str:
        self._put(context, inputs["dashboardName"], inputs["dashboardBody"])
        return str(inputs["dashboardName"])

    def _put(self, context: Context, name: str, body: str) -> None:
        context.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=body)

    def read(self, context: Context, identity: str) -> Properties | None:
        found = look(context.client("cloudwatch").get_dashboard, DashboardName=identity)
        if found is None:
            return None
        return {
            "dashboardArn": found["DashboardArn"],
            "dashboardName": identity,
            "dashboardBody": found["DashboardBody"],
        }

    def update(self, context: Context, identity: str, change: Change) -> None:
        self._put(context, identity, change.news["dashboardBody"])

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("cloudwatch").delete_dashboards(DashboardNames=[identity])


HANDLERS: tuple[Handler, ...] = (MetricAlarm(), Dashboard())
