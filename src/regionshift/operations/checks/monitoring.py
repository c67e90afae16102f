"""Checks of log groups, alarms and topics: existence, retention, encryption, and targets."""

from __future__ import annotations

from regionshift.function.notification import Notification, send_notification
from regionshift.operations.alarms import since
from regionshift.operations.checks.base import Check, CheckContext, Doubtful, Wrong, expect
from regionshift.settings.components import every_name
from regionshift.settings.names import NameKind

_LOG_GROUPS = ("lambda_log_group_name", "validation_log_group_name", "deployment_log_group_name")


class LogGroupsCheck(Check):
    """The log groups of the function, of validations and of deployments."""

    name = "log groups"

    def ask(self, context: CheckContext, region: str) -> str:
        logs = context.clients.get("logs", region)
        for output in _LOG_GROUPS:
            name = context.outputs.get(output, region)
            pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
            found = (group for page in pages for group in page["logGroups"])
            group = next((group for group in found if group["logGroupName"] == name), None)
            if group is None:
                raise Wrong(f"{name} is not there")
            expect(f"retention of {name}", group.get("retentionInDays"), context.config.retention.logs)
            if not group.get("kmsKeyId"):
                raise Wrong(f"{name} is not encrypted with the region's key")
        return f"{len(_LOG_GROUPS)} log groups, kept {context.config.retention.logs} days"


class AlarmsCheck(Check):
    """The region's alarms exist and are enabled, and each notifies the region's alarm topic.

    An alarm in ALARM is a warning: the region is as the settings say, and a failed check would block its repair.
    """

    name = "alarms"
    remedy = "look at the named alarm; `regionshift up --refresh` reverts changes by hand"

    def ask(self, context: CheckContext, region: str) -> str:
        topic = context.outputs.get("alarm_topic_arn", region)
        named = {
            name.name
            for name in every_name(context.config)
            if name.kind is NameKind.ALARM and name.region == region
        }
        pages = context.clients.get("cloudwatch", region).get_paginator("describe_alarms").paginate()
        found = {alarm["AlarmName"]: alarm for page in pages for alarm in page.get("MetricAlarms", [])}
        own = [alarm for name, alarm in found.items() if name in named]
        if not own:
            raise Wrong("the region has none of the environment's alarms")
        if silent := [alarm["AlarmName"] for alarm in own if topic not in alarm.get("AlarmActions", [])]:
            raise Wrong(f"tell nobody: {', '.join(silent)}")
        if disabled := [alarm["AlarmName"] for alarm in own if not alarm.get("ActionsEnabled")]:
            raise Wrong(f"switched off: {', '.join(disabled)}")
        if red := [alarm for alarm in own if alarm.get("StateValue") == "ALARM"]:
            told = (f"{alarm['AlarmName']} since {since(alarm)}" for alarm in red)
            raise Doubtful(f"in ALARM: {', '.join(told)}")
        return f"{len(own)} alarms, each telling the alarm topic"


class TopicsCheck(Check):
    """Both topics are encrypted, and the deployment topic takes a test message."""

    name = "notifications"

    def ask(self, context: CheckContext, region: str) -> str:
        sns = context.clients.get("sns", region)
        for output in ("deployment_topic_arn", "alarm_topic_arn"):
            topic = context.outputs.get(output, region)
            attributes = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
            if not attributes.get("KmsMasterKeyId"):
                raise Wrong(f"{topic} is not encrypted")
        message = Notification(
            event="validate",
            environment=context.config.suffix,
            region=region,
            status="started",
            time=context.now().isoformat(),
            summary="A test notification of `regionshift validate`; nothing has to be done.",
            link="",
        )
        send_notification(sns, context.outputs.get("deployment_topic_arn", region), message)
        return "both topics encrypted, a test notification accepted"
