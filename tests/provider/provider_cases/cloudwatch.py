"""CloudWatch and CloudWatch Logs cases."""

from __future__ import annotations

import json

from provider_lab import Case, Lab, Made

from regionshift.local.provider.wire import Properties

_TOPIC = "arn:aws:sns:eu-central-1:123456789012:alarms"


def key_for_logs(lab: Lab) -> str:
    """The ARN of a key that admits CloudWatch Logs (CloudWatch Logs User Guide, "Encrypt log data")."""
    principal = {"AWS": "arn:aws:iam::123456789012:root", "Service": f"logs.{lab.region}.amazonaws.com"}
    allow = {"Effect": "Allow", "Principal": principal, "Action": "kms:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    return str(lab.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"])


def _group(lab: Lab) -> Properties:
    name = f"/lab/{lab.unique}"
    return {
        "name": name,
        "kmsKeyId": key_for_logs(lab),
        "retentionInDays": 7,
        "tags": {"Purpose": "log"},
    }


def _keep_longer(lab: Lab, made: Made) -> None:
    logs = lab.client("logs")
    logs.put_retention_policy(logGroupName=made.identity, retentionInDays=30)
    logs.untag_resource(resourceArn=made.properties["arn"], tagKeys=["Purpose"])


def _alarm(lab: Lab) -> Properties:
    return {
        "name": f"{lab.unique}-errors",
        "alarmDescription": "the function fails",
        "namespace": "AWS/Lambda",
        "metricName": "Errors",
        "dimensions": {"FunctionName": "f", "Resource": "f:live"},
        "statistic": "Sum",
        "period": 300,
        "evaluationPeriods": 1,
        "threshold": 0,
        "comparisonOperator": "GreaterThanThreshold",
        "treatMissingData": "notBreaching",
        "alarmActions": [_TOPIC],
        "okActions": [_TOPIC],
        "tags": {"Purpose": "alarm"},
    }


def _percentile(lab: Lab) -> Properties:
    inputs = {**_alarm(lab), "name": f"{lab.unique}-slow", "metricName": "Duration"}
    del inputs["statistic"]
    return {**inputs, "extendedStatistic": "p95", "threshold": 1500.5}


def _louder(lab: Lab, made: Made) -> None:
    inputs = made.properties
    lab.client("cloudwatch").put_metric_alarm(
        AlarmName=made.identity,
        Namespace=inputs["namespace"],
        MetricName=inputs["metricName"],
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=99,
        ComparisonOperator="GreaterThanThreshold",
    )


def body(title: str) -> str:
    return json.dumps({"widgets": [{"type": "text", "properties": {"markdown": title}}]})


def _dashboard(lab: Lab) -> Properties:
    return {"dashboardName": f"{lab.unique}-all", "dashboardBody": body("one")}


def _redraw(lab: Lab, made: Made) -> None:
    lab.client("cloudwatch").put_dashboard(DashboardName=made.identity, DashboardBody=body("two"))


CASES = (
    Case(
        "aws:cloudwatch/logGroup:LogGroup",
        _group,
        changes={"retentionInDays": 14, "tags": {"Owner": "me"}},
        replaces={"name": "/lab/other", "logGroupClass": "INFREQUENT_ACCESS"},
        meddle=_keep_longer,
        drifts=frozenset({"retentionInDays", "tags"}),
    ),
    Case(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        _alarm,
        changes={
            "threshold": 1.5,
            "okActions": None,
            "alarmDescription": "other",
            "treatMissingData": None,
            "datapointsToAlarm": 1,
            "actionsEnabled": False,
            "dimensions": {"FunctionName": "g"},
            "tags": {"Owner": "me"},
        },
        replaces={"name": "other"},
        meddle=_louder,
        drifts=frozenset({"threshold", "alarmActions", "dimensions", "treatMissingData"}),
    ),
    Case("aws:cloudwatch/metricAlarm:MetricAlarm", _percentile, changes={"extendedStatistic": "p99"}),
    Case(
        "aws:cloudwatch/dashboard:Dashboard",
        _dashboard,
        changes={"dashboardBody": body("three")},
        replaces={"dashboardName": "other"},
        meddle=_redraw,
        drifts=frozenset({"dashboardBody"}),
    ),
)
