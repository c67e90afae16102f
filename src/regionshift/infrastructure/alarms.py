"""Every alarm as data: what it watches, where, and when it turns red. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regionshift.infrastructure.policies.function import METRIC_NAMESPACE
from regionshift.infrastructure.site import Site
from regionshift.settings import components as named

FIVE_MINUTES = 300
ACTION_ALARMS: Mapping[str, named.Component] = {
    "validate": named.VALIDATE_ERRORS_ALARM,
    "migrate": named.MIGRATE_ERRORS_ALARM,
    "rollback": named.ROLLBACK_ERRORS_ALARM,
}


@dataclass(frozen=True)
class Alarm:
    """One alarm: red when ``metric`` in one period is above ``threshold``.

    ``statistic`` is ``Sum``, ``Maximum`` or a percentile such as ``p95``. ``period`` is in seconds. The threshold has
    the metric's own unit. Missing data is no breach: a function that nobody calls is healthy.
    """

    component: named.Component
    description: str
    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    statistic: str
    threshold: float
    period: int = FIVE_MINUTES

    @property
    def thing(self) -> str:
        """The first part of its logical name."""
        return f"{self.component.part}-alarm"


def function_alarms(site: Site) -> list[Alarm]:
    """Return the alarms on the function: errors, throttles, duration (milliseconds) and dead letters."""
    alerts = site.config.alerts
    function = {"FunctionName": site.name(named.FUNCTION)}
    limit = site.config.function.timeout * 1000 * alerts.duration_share
    return [
        Alarm(
            named.ERRORS_ALARM,
            "The function fails",
            "AWS/Lambda",
            "Errors",
            function,
            "Sum",
            alerts.errors - 1,
        ),
        Alarm(
            named.THROTTLES_ALARM,
            "The function is throttled",
            "AWS/Lambda",
            "Throttles",
            function,
            "Sum",
            alerts.throttles - 1,
        ),
        Alarm(
            named.DURATION_ALARM,
            "The function comes near its timeout",
            "AWS/Lambda",
            "Duration",
            function,
            "p95",
            limit,
        ),
        Alarm(
            named.DEAD_LETTERS_ALARM,
            "An invocation failed permanently and is in the dead-letter queue",
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            {"QueueName": site.name(named.DEAD_LETTERS)},
            "Maximum",
            0,
        ),
    ]


def action_alarms(site: Site) -> list[Alarm]:
    """Return an alarm for each action, on answers with an error: an answer of 500 is no error of Lambda's."""
    return [
        Alarm(
            component,
            f"The action {action} answered with an error",
            METRIC_NAMESPACE,
            "ActionCount",
            action_dimensions(site, action, "error"),
            "Sum",
            0,
        )
        for action, component in ACTION_ALARMS.items()
    ]


def migration_alarms(site: Site) -> list[Alarm]:
    """Return the alarms on migrations: the worker fails, or an execution of the state machine failed.

    Lambda Developer Guide, "Types of metrics for Lambda functions"; Step Functions Developer Guide, "Monitoring Step
    Functions metrics using Amazon CloudWatch". A failure that the state machine retries counts for the worker, not for
    the execution.
    """
    return [
        Alarm(
            named.WORKER_ERRORS_ALARM,
            "The migration worker fails",
            "AWS/Lambda",
            "Errors",
            {"FunctionName": site.name(named.WORKER)},
            "Sum",
            site.config.alerts.errors - 1,
        ),
        Alarm(
            named.EXECUTIONS_FAILED_ALARM,
            "A migration or a rollback failed in the state machine, or was refused there",
            "AWS/States",
            "ExecutionsFailed",
            {"StateMachineArn": state_machine_arn(site)},
            "Sum",
            0,
        ),
    ]


def state_machine_arn(site: Site) -> str:
    """Return the ARN of the region's state machine by its name, so that others need not wait for it."""
    return site.arn("states", f"stateMachine:{site.name(named.STATE_MACHINE)}")


def action_dimensions(site: Site, action: str, status: str) -> dict[str, str]:
    """Return the dimensions of the environment's own metric. Without the last one they cover all environments of the
    region.
    """
    function = site.name(named.FUNCTION)
    return {"Action": action, "Status": status, "Region": site.region, "FunctionName": function}


def replication_dimensions(source: Site, destination: Site) -> dict[str, str]:
    """Return the dimensions of the metrics of one rule (Amazon S3 User Guide, "Using S3 Replication metrics")."""
    return {
        "SourceBucket": source.name(named.DEPLOYMENT_BUCKET),
        "DestinationBucket": destination.name(named.DEPLOYMENT_BUCKET),
        "RuleId": rule_id(destination),
    }


def rule_id(destination: Site) -> str:
    """Return the id of the replication rule to ``destination``."""
    return f"to-{destination.region}"


def replication_latency_alarm(source: Site, destination: Site) -> Alarm:
    """Return the alarm on the delay of a destination, in seconds. S3 publishes the metric in the destination's
    region.
    """
    return Alarm(
        named.REPLICATION_LATENCY_ALARM,
        f"The bucket lags behind {source.region}",
        "AWS/S3",
        "ReplicationLatency",
        replication_dimensions(source, destination),
        "Maximum",
        destination.config.alerts.replication_latency,
    )


def replication_failed_alarm(source: Site, destination: Site) -> Alarm:
    """Return the alarm on operations that were not replicated. S3 publishes the metric in the source's region."""
    return Alarm(
        named.replication_failed_alarm(destination.region),
        f"Something was not replicated to {destination.region}",
        "AWS/S3",
        "OperationsFailedReplication",
        replication_dimensions(source, destination),
        "Sum",
        0,
    )
