"""Reports an action: metric, log lines and notifications. A failed report affects neither the answer nor the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools import Logger

from regionshift.function.answer import Answer, numbers
from regionshift.function.clients import FunctionClients
from regionshift.function.notification import (
    Notification,
    NotificationStatus,
    log_group_link,
    send_notification,
)
from regionshift.function.request import VALIDATE, FunctionRequest
from regionshift.function.surroundings import Clock, Invocation, Variables

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_logs import CloudWatchLogsClient

NAMESPACE = "Migration"
METRIC = "ActionCount"


def stream_name(own_stream: str, request_id: str, now: datetime) -> str:
    """Return the name of the log stream: the name of the function's own stream, so that both can be compared.

    Each execution environment has its own stream, so two calls never write to one at once. Without a stream, the name
    is ``YYYY/MM/DD/<request id>``. Names may have neither ':' nor '*'.
    """
    name = own_stream or f"{now:%Y/%m/%d}/{request_id or 'direct'}"
    return name.replace(":", "-").replace("*", "-")


def write_line(
    logs: CloudWatchLogsClient, group: str, stream: str, line: Mapping[str, Any], now: datetime
) -> None:
    """Append ``line`` as JSON.

    Raises:
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: CloudWatch Logs did not accept it.
    """
    event = {"timestamp": int(now.timestamp() * 1000), "message": json.dumps(line)}
    try:
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])  # type: ignore[list-item]
    except logs.exceptions.ResourceNotFoundException:
        _make_stream(logs, group, stream)
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])  # type: ignore[list-item]


def _make_stream(logs: CloudWatchLogsClient, group: str, stream: str) -> None:
    try:
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    except logs.exceptions.ResourceAlreadyExistsException:
        # Another call has created it meanwhile.
        return


def count_action(
    cloudwatch: CloudWatchClient, action: str, status: str, region: str, function: str, now: datetime
) -> None:
    """Add one to ``ActionCount`` for this action and status (``success`` or ``error``) in this region.

    There are two series, because CloudWatch does not add up dimensions (CloudWatch User Guide, "Dimensions"). One is
    for all functions of the region, so environments of one account share it. The other has the dimension
    ``FunctionName``; alarms watch that one.

    Raises:
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: CloudWatch did not accept it.
    """
    shared = {"Action": action, "Status": status, "Region": region}
    own = [{**shared, "FunctionName": function}] if function else []
    cloudwatch.put_metric_data(
        Namespace=NAMESPACE,
        MetricData=[
            {
                "MetricName": METRIC,
                "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
                "Timestamp": now,
                "Value": 1,
                "Unit": "Count",
            }
            for dimensions in [shared, *own]
        ],
    )


class Reporter:
    """Reports one function's actions.

    Args:
        logger: for failed reports.
        record: for the one line of each action; its level is always INFO.
    """

    def __init__(
        self, variables: Variables, clients: FunctionClients, clock: Clock, logger: Logger, record: Logger
    ) -> None:
        self._variables = variables
        self._clients = clients
        self._clock = clock
        self._logger = logger
        self._record = record

    def announce(self, request: FunctionRequest) -> str:
        """Publish that ``request`` has started; return the message's id.

        Raises:
            botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: SNS did not accept it.
        """
        summary = f"{request.action} started in {self._variables.region}."
        return self._notify(request.action, "started", request.migration_id, summary)

    def finish(self, answer: Answer, invocation: Invocation) -> None:
        """Count the action, write its lines, notify. Never raises."""
        line = self._line(answer, invocation)
        reports: list[tuple[str, Callable[[], object]]] = [
            ("metric", lambda: self._count(answer)),
            ("log line", lambda: self._write(answer, invocation, line)),
            ("notification", lambda: self._notify_end(answer)),
        ]
        # In parallel, so that the waits for endpoints that do not answer do not add up to the function's timeout.
        with ThreadPoolExecutor(len(reports)) as pool:
            for name, report in reports:
                pool.submit(self._safely, name, report)
        self._record.info(answer.summary, extra=line)

    def _safely(self, name: str, report: Callable[[], object]) -> None:
        try:
            report()
        except Exception:
            # The action is done, and its answer does not change.
            self._logger.exception(f"The {name} could not be sent.")

    def _count(self, answer: Answer) -> None:
        region, function = self._variables.region, self._variables.function_name
        cloudwatch, now = self._clients.cloudwatch, self._clock()
        count_action(cloudwatch, answer.action, answer.status, region, function, now)

    def _write(self, answer: Answer, invocation: Invocation, line: dict[str, Any]) -> None:
        group, now = self._log_group(answer.action), self._clock()
        if group:
            stream = stream_name(invocation.log_stream, invocation.request_id, now)
            write_line(self._clients.logs, group, stream, line, now)

    def _notify_end(self, answer: Answer) -> None:
        # Unfinished work has not succeeded. The call or execution that ends it reports the end.
        status = cast("NotificationStatus", answer.status) if answer.is_done else "started"
        if answer.partly:
            status = "error"
        counts = numbers(answer.fields.get("counts") or {})
        if not answer.is_done and not counts:
            return  # the start is already announced
        self._notify(answer.action, status, answer.migration_id, answer.summary, counts)

    def _notify(
        self,
        event: str,
        status: NotificationStatus,
        migration_id: str | None,
        summary: str,
        counts: Mapping[str, int] | None = None,
    ) -> str:
        variables = self._variables
        notification = Notification(
            event=event,
            environment=variables.environment_name,
            region=variables.region,
            status=status,
            time=self._clock().isoformat(),
            summary=summary,
            link=log_group_link(variables.region, self._log_group(event)),
            migration_id=migration_id,
            counts=dict(counts or {}),
        )
        return send_notification(self._clients.sns, variables.notification_topic, notification)

    def _line(self, answer: Answer, invocation: Invocation) -> dict[str, Any]:
        body = answer.body(self._variables.region, self._clock())
        told = {
            "environment": self._variables.environment_name,
            "request_id": invocation.request_id,
            "status_code": answer.status_code,
            "summary": answer.summary,
        }
        # Without the details, which can be too large for a log event.
        return {key: value for key, value in body.items() if key != "details"} | told

    def _log_group(self, action: str) -> str:
        if action == VALIDATE:
            return self._variables.validation_log_group
        return self._variables.deployment_log_group
