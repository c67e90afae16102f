"""Log groups, alarms and topics: there, kept as long as asked, encrypted, and telling somebody."""

from __future__ import annotations

from regionshift.operations.checks.base import Check, CheckContext, Wrong, expect

_LOG_GROUPS = ("lambda_log_group_name", "validation_log_group_name", "deployment_log_group_name")


class LogGroups(Check):
    """The log groups of the function, of validations and of deployments."""

    name = "log groups"

    def ask(self, context: CheckContext, region: str) -> str:
        logs = context.clients.get("logs", region)
        for output in _LOG_GROUPS:
            name = context.outputs.get(output, region)
            found = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
            group = next((group for group in found if group["logGroupName"] == name), None)
            if group is None:
                raise Wrong(f"{name} is not there")
            expect(f"retention of {name}", group.get("retentionInDays"), context.config.retention.logs)
            if not group.get("kmsKeyId"):
                raise Wrong(f"{name} is not encrypted with the region's key")
        return f"{len(_LOG_GROUPS)} log groups, kept {context.config.retention.logs} days"


class Alarms(Check):
    """Every alarm of the region tells the region's alarm topic, and none has fired."""

    name = "alarms"
    remedy = "look at the alarm that is named; `regionshift up` puts back what was changed"

    def ask(self, context: CheckContext, region: str) -> str:
        topic = context.outputs.get("alarm_topic_arn", region)
        prefix = context.config.names.project_prefix
        pages = context.clients.get("cloudwatch", region).get_paginator("describe_alarms").paginate()
        ending = f"-{region}-{context.config.suffix.lower()}"
        own = [
            alarm
            for page in pages
            for alarm in page.get("MetricAlarms", [])
            if alarm["AlarmName"].startswith(prefix) and topic in alarm.get("AlarmActions", [])
        ]
        if not own:
            raise Wrong(f"no alarm named …{ending} tells {topic}")
        if disabled := [alarm["AlarmName"] for alarm in own if not alarm.get("ActionsEnabled")]:
            raise Wrong(f"switched off: {', '.join(disabled)}")
        return f"{len(own)} alarms"


class Topics(Check):
    """Both topics are encrypted, and the deployment topic takes a test message."""

    name = "notifications"

    def ask(self, context: CheckContext, region: str) -> str:
        sns = context.clients.get("sns", region)
        for output in ("deployment_topic_arn", "alarm_topic_arn"):
            topic = context.outputs.get(output, region)
            attributes = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
            if not attributes.get("KmsMasterKeyId"):
                raise Wrong(f"{topic} is not encrypted")
        return "both topics encrypted"
