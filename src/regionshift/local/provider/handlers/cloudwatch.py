"""CloudWatch alarms on metrics, and dashboards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from regionshift.aws.resource_finders import unless_gone
from regionshift.local.provider.conversions import from_list, given, to_list
from regionshift.local.provider.failures import Taken
from regionshift.local.provider.fields import Field, FieldType, InvalidInput
from regionshift.local.provider.handler import Context, Handler, TagCalls, Update
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

# Properties with the same name in PutMetricAlarm and DescribeAlarms.
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
    "treatMissingData": "TreatMissingData",
    "unit": "Unit",
}


class MetricAlarmHandler(Handler):
    """An alarm on one metric. Only a new name replaces it.

    Alarms on expressions are refused, because the emulator silently drops the queries.
    """

    token = "aws:cloudwatch/metricAlarm:MetricAlarm"
    taggable = True
    tag_calls = TagCalls("cloudwatch", "ResourceARN")
    name = "name"
    fields = {
        "name": Field(required=True, replaces=True, pattern=r".{1,255}"),
        "comparisonOperator": Field(required=True, allowed=_COMPARISONS),
        "evaluationPeriods": Field(FieldType.INTEGER, required=True, minimum=1),
        "actionsEnabled": Field(FieldType.FLAG, default=True),
        "alarmActions": Field(FieldType.SET),
        "okActions": Field(FieldType.SET),
        "insufficientDataActions": Field(FieldType.SET),
        "alarmDescription": Field(pattern=r"(?s).{0,1024}"),
        "datapointsToAlarm": Field(FieldType.INTEGER, minimum=1),
        "dimensions": Field(FieldType.MAP),
        # CloudWatch returns it, the emulator does not.
        "evaluateLowSampleCountPercentiles": Field(
            computed=True, opaque=True, allowed=("evaluate", "ignore")
        ),
        "extendedStatistic": Field(),
        "metricName": Field(required=True),
        "namespace": Field(required=True),
        "period": Field(FieldType.INTEGER, required=True),
        "statistic": Field(allowed=_STATISTICS),
        "threshold": Field(FieldType.NUMBER, required=True),
        "treatMissingData": Field(default="missing", allowed=_MISSING),
        "unit": Field(),
    }
    outputs = ("arn",)

    def mistakes(self, inputs: Properties) -> Iterator[InvalidInput]:
        period = inputs.get("period")
        if isinstance(period, int) and period not in _SHORT_PERIODS and (period < 60 or period % 60):
            yield InvalidInput("period", "must be 10, 20, 30 or a multiple of 60 seconds")
        if (inputs.get("statistic") is None) == (inputs.get("extendedStatistic") is None):
            yield InvalidInput("statistic", "exactly one of statistic and extendedStatistic must be given")

    def create(self, context: Context, inputs: Properties) -> str:
        cloudwatch = context.client("cloudwatch")
        if _alarm(cloudwatch, inputs["name"]) is not None:
            raise Taken(f"the alarm {inputs['name']}", context.region)  # PutMetricAlarm would overwrite it
        cloudwatch.put_metric_alarm(**_arguments(inputs), Tags=to_list(context.tags(inputs)))
        return str(inputs["name"])

    def read(self, context: Context, identity: str) -> Properties | None:
        cloudwatch = context.client("cloudwatch")
        alarm = _alarm(cloudwatch, identity)
        if alarm is None:
            return None
        told = {name: alarm.get(key) for name, key in _PLAIN.items()}
        if told["extendedStatistic"]:
            told["statistic"] = None  # CloudWatch leaves it out, the emulator returns Average
        return {
            **told,
            "arn": alarm["AlarmArn"],
            "name": identity,
            "dimensions": from_list(alarm.get("Dimensions", []), key="Name"),
            "tags": _tags(cloudwatch, alarm),
        }

    def update(self, context: Context, identity: str, change: Update) -> None:
        context.client("cloudwatch").put_metric_alarm(**_arguments(change.news))

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("cloudwatch").delete_alarms(AlarmNames=[identity])

    def tagged(self, context: Context, identity: str) -> str:
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
    return given(arguments)


def _dimensions(dimensions: Mapping[str, str] | None) -> list[dict[str, str]] | None:
    return to_list(dimensions, key="Name") if dimensions else None


class DashboardHandler(Handler):
    """A dashboard; its body changes in place."""

    token = "aws:cloudwatch/dashboard:Dashboard"
    name = "dashboardName"
    fields = {
        "dashboardName": Field(required=True, replaces=True, pattern=r"[A-Za-z0-9_-]{1,255}"),
        "dashboardBody": Field(FieldType.DOCUMENT, required=True),
    }
    outputs = ("dashboardArn",)

    def create(self, context: Context, inputs: Properties) -> str:
        self._put(context, inputs["dashboardName"], inputs["dashboardBody"])
        return str(inputs["dashboardName"])

    def _put(self, context: Context, name: str, body: str) -> None:
        context.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=body)

    def read(self, context: Context, identity: str) -> Properties | None:
        found = unless_gone(context.client("cloudwatch").get_dashboard, DashboardName=identity)
        if found is None:
            return None
        return {
            "dashboardArn": found["DashboardArn"],
            "dashboardName": identity,
            "dashboardBody": found["DashboardBody"],
        }

    def update(self, context: Context, identity: str, change: Update) -> None:
        self._put(context, identity, change.news["dashboardBody"])

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("cloudwatch").delete_dashboards(DashboardNames=[identity])


HANDLERS: tuple[Handler, ...] = (MetricAlarmHandler(), DashboardHandler())
