"""Every component that the environment names: the one list that the program builds from and the check reads.

A component is the second part of ``<project>-<component>-<region>-<environment>``, together with the kind of
name it becomes. The program asks a component for its name (``DEPLOYMENT_BUCKET.name(names, region)``), so a
name that is built but not checked cannot be written down.
"""

from __future__ import annotations

from dataclasses import dataclass

from regionshift.settings.names import Kind, Names


@dataclass(frozen=True)
class Component:
    """One thing the environment names; ``part`` is its part of the name."""

    part: str
    kind: Kind

    def name(self, names: Names, region: str) -> str:
        """The full name in ``region``, within the limit of the component's kind."""
        match self.kind:
            case Kind.BUCKET:
                return names.bucket(self.part, region)
            case Kind.KEY_ALIAS:
                return names.alias(self.part, region)
            case Kind.LOG_GROUP:
                return names.log_group(self.part, region)
            case Kind.PARAMETER:
                return names.parameter(self.part, region)
            case Kind.SECRET:
                return names.secret(self.part, region)
            case _:
                return names.get_resource_name(self.part, region, self.kind)


KEY = Component("key", Kind.KEY_ALIAS)
RECORDS_KEY = Component("records", Kind.KEY_ALIAS)

DEPLOYMENT_BUCKET = Component("deployment", Kind.BUCKET)
LOG_BUCKET = Component("logs", Kind.BUCKET)

FUNCTION = Component("migration", Kind.FUNCTION)
WORKER = Component("worker", Kind.FUNCTION)
STATE_MACHINE = Component("migration", Kind.STATE_MACHINE)
DEAD_LETTERS = Component("dead-letters", Kind.QUEUE)

FUNCTION_ROLE = Component("function", Kind.ROLE)
WORKER_ROLE = Component("worker", Kind.ROLE)
STATE_MACHINE_ROLE = Component("states", Kind.ROLE)
REPLICATION_ROLE = Component("replication", Kind.ROLE)
FLOW_LOGS_ROLE = Component("flow-logs", Kind.ROLE)

S3_POLICY = Component("s3", Kind.ROLE_POLICY)
KEY_POLICY = Component("key", Kind.ROLE_POLICY)
CONFIGURATION_POLICY = Component("configuration", Kind.ROLE_POLICY)
LOGS_POLICY = Component("logs", Kind.ROLE_POLICY)
TOPIC_POLICY = Component("topic", Kind.ROLE_POLICY)
DEAD_LETTERS_POLICY = Component("dead-letters", Kind.ROLE_POLICY)
TRACING_POLICY = Component("tracing", Kind.ROLE_POLICY)
METRICS_POLICY = Component("metrics", Kind.ROLE_POLICY)
NETWORK_INTERFACE_POLICY = Component("network-interface", Kind.ROLE_POLICY)
SEALS_POLICY = Component("seals", Kind.ROLE_POLICY)
START_POLICY = Component("start-migrations", Kind.ROLE_POLICY)
WORKER_RECORDS_POLICY = Component("worker-records", Kind.ROLE_POLICY)
WORKER_OBJECTS_POLICY = Component("worker-objects", Kind.ROLE_POLICY)
WORKER_SEALS_POLICY = Component("worker-seals", Kind.ROLE_POLICY)
WORKER_KEY_POLICY = Component("worker-key", Kind.ROLE_POLICY)
WORKER_PARAMETERS_POLICY = Component("worker-parameters", Kind.ROLE_POLICY)
WORKER_SECRETS_POLICY = Component("worker-secrets", Kind.ROLE_POLICY)
WORKER_TOPIC_POLICY = Component("worker-topic", Kind.ROLE_POLICY)
WORKER_LOGS_POLICY = Component("worker-logs", Kind.ROLE_POLICY)
WORKER_TRACING_POLICY = Component("worker-tracing", Kind.ROLE_POLICY)
STATES_RUN_POLICY = Component("states-run", Kind.ROLE_POLICY)
STATES_KEY_POLICY = Component("states-key", Kind.ROLE_POLICY)
STATES_LOGS_POLICY = Component("states-logs", Kind.ROLE_POLICY)
REPLICATION_POLICY = Component("replication", Kind.ROLE_POLICY)
FLOW_LOGS_POLICY = Component("flow-logs", Kind.ROLE_POLICY)

DEPLOYMENT_TOPIC = Component("deployment", Kind.TOPIC)
ALARM_TOPIC = Component("alarms", Kind.TOPIC)

VALIDATION_LOG_GROUP = Component("validation", Kind.LOG_GROUP)
DEPLOYMENT_LOG_GROUP = Component("deployment", Kind.LOG_GROUP)
FLOW_LOG_GROUP = Component("flow-logs", Kind.LOG_GROUP)
STATE_MACHINE_LOG_GROUP = Component("states", Kind.LOG_GROUP)

DEPLOYMENT_CONFIG_PARAMETER = Component("deployment-config", Kind.PARAMETER)
DEPLOYMENT_CONFIG_SECRET = Component("deployment-config", Kind.SECRET)

FUNCTION_SECURITY_GROUP = Component("function", Kind.SECURITY_GROUP)
ENDPOINTS_SECURITY_GROUP = Component("endpoints", Kind.SECURITY_GROUP)

ERRORS_ALARM = Component("function-errors", Kind.ALARM)
THROTTLES_ALARM = Component("throttles", Kind.ALARM)
DURATION_ALARM = Component("duration", Kind.ALARM)
DEAD_LETTERS_ALARM = Component("dead-letters", Kind.ALARM)
WORKER_ERRORS_ALARM = Component("worker-errors", Kind.ALARM)
EXECUTIONS_FAILED_ALARM = Component("executions-failed", Kind.ALARM)
REPLICATION_LATENCY_ALARM = Component("replication-latency", Kind.ALARM)
VALIDATE_ERRORS_ALARM = Component("validate-errors", Kind.ALARM)
MIGRATE_ERRORS_ALARM = Component("migrate-errors", Kind.ALARM)
ROLLBACK_ERRORS_ALARM = Component("rollback-errors", Kind.ALARM)

REGION_DASHBOARD = Component("region", Kind.DASHBOARD)
# Named by the primary of the day: a change of primary makes a new one and removes the old, in that order,
# which one name for both would not survive.
OVERVIEW_DASHBOARD = Component("overview", Kind.DASHBOARD)

COMPONENTS: tuple[Component, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Component)
)


def replication_failed_alarm(destination: str) -> Component:
    """The alarm on what was not replicated to ``destination``; it stands in the source's region."""
    return Component(f"replication-failed-to-{destination}", Kind.ALARM)
