"""Every component that the environment names: the one list that the program builds from, and the check of all names.

A component is the second part of ``<project>-<component>-<region>-<environment>``, together with the kind of
name it becomes. The program asks a component for its name (``DEPLOYMENT_BUCKET.name(names, region)``), so a
name that is built but not checked cannot be written down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from regionshift.settings.config import MigrationConfig
from regionshift.settings.names import NameKind, Names
from regionshift.settings.quotas import MANAGED_POLICIES
from regionshift.settings.regions import partition_of


@dataclass(frozen=True)
class Component:
    """One thing the environment names; ``part`` is its part of the name, ``under`` what a log group's begins with."""

    part: str
    kind: NameKind
    under: str = ""

    def name(self, names: Names, region: str) -> str:
        """The full name in ``region``, within the limit of the component's kind."""
        match self.kind:
            case NameKind.BUCKET:
                return names.bucket(self.part, region)
            case NameKind.KEY_ALIAS:
                return names.alias(self.part, region)
            case NameKind.LOG_GROUP | NameKind.PARAMETER:
                return self.under + names.parameter(self.part, region)
            case NameKind.SECRET:
                return names.secret(self.part, region)
            case _:
                return names.get_resource_name(self.part, region, self.kind)


KEY = Component("key", NameKind.KEY_ALIAS)
RECORDS_KEY = Component("records", NameKind.KEY_ALIAS)

DEPLOYMENT_BUCKET = Component("deployment", NameKind.BUCKET)
LOG_BUCKET = Component("logs", NameKind.BUCKET)

FUNCTION = Component("migration", NameKind.FUNCTION)
WORKER = Component("worker", NameKind.FUNCTION)
STATE_MACHINE = Component("migration", NameKind.STATE_MACHINE)
DEAD_LETTERS = Component("dead-letters", NameKind.QUEUE)

FUNCTION_ROLE = Component("function", NameKind.ROLE)
WORKER_ROLE = Component("worker", NameKind.ROLE)
STATE_MACHINE_ROLE = Component("states", NameKind.ROLE)
REPLICATION_ROLE = Component("replication", NameKind.ROLE)
FLOW_LOGS_ROLE = Component("flow-logs", NameKind.ROLE)

S3_POLICY = Component("s3", NameKind.ROLE_POLICY)
KEY_POLICY = Component("key", NameKind.ROLE_POLICY)
CONFIGURATION_POLICY = Component("configuration", NameKind.ROLE_POLICY)
LOGS_POLICY = Component("logs", NameKind.ROLE_POLICY)
TOPIC_POLICY = Component("topic", NameKind.ROLE_POLICY)
DEAD_LETTERS_POLICY = Component("dead-letters", NameKind.ROLE_POLICY)
TRACING_POLICY = Component("tracing", NameKind.ROLE_POLICY)
METRICS_POLICY = Component("metrics", NameKind.ROLE_POLICY)
NETWORK_INTERFACE_POLICY = Component("network-interface", NameKind.ROLE_POLICY)
INTERFACE_REMOVAL_POLICY = Component("interface-removal", NameKind.ROLE_POLICY)
SEALS_POLICY = Component("seals", NameKind.ROLE_POLICY)
START_POLICY = Component("start-migrations", NameKind.ROLE_POLICY)
WORKER_RECORDS_POLICY = Component("worker-records", NameKind.ROLE_POLICY)
WORKER_OBJECTS_POLICY = Component("worker-objects", NameKind.ROLE_POLICY)
WORKER_SEALS_POLICY = Component("worker-seals", NameKind.ROLE_POLICY)
WORKER_KEY_POLICY = Component("worker-key", NameKind.ROLE_POLICY)
WORKER_KEYS_POLICY = Component("worker-carry-keys", NameKind.ROLE_POLICY)
WORKER_PARAMETERS_POLICY = Component("worker-parameters", NameKind.ROLE_POLICY)
WORKER_SECRETS_POLICY = Component("worker-secrets", NameKind.ROLE_POLICY)
WORKER_TOPIC_POLICY = Component("worker-topic", NameKind.ROLE_POLICY)
WORKER_LOGS_POLICY = Component("worker-logs", NameKind.ROLE_POLICY)
WORKER_TRACING_POLICY = Component("worker-tracing", NameKind.ROLE_POLICY)
STATES_RUN_POLICY = Component("states-run", NameKind.ROLE_POLICY)
STATES_KEY_POLICY = Component("states-key", NameKind.ROLE_POLICY)
STATES_LOGS_POLICY = Component("states-logs", NameKind.ROLE_POLICY)
REPLICATION_POLICY = Component("replication", NameKind.ROLE_POLICY)
FLOW_LOGS_POLICY = Component("flow-logs", NameKind.ROLE_POLICY)

DEPLOYMENT_TOPIC = Component("deployment", NameKind.TOPIC)
ALARM_TOPIC = Component("alarms", NameKind.TOPIC)

VALIDATION_LOG_GROUP = Component("validation", NameKind.LOG_GROUP)
DEPLOYMENT_LOG_GROUP = Component("deployment", NameKind.LOG_GROUP)
FLOW_LOG_GROUP = Component("flow-logs", NameKind.LOG_GROUP)
# Any other group would be written into the region's log resource policy, which has room for some dozen environments
# (Step Functions Developer Guide, "Avoiding Amazon CloudWatch Logs resource policy size restrictions").
STATE_MACHINE_LOG_GROUP = Component("states", NameKind.LOG_GROUP, under="/aws/vendedlogs/states")

DEPLOYMENT_CONFIG_PARAMETER = Component("deployment-config", NameKind.PARAMETER)
DEPLOYMENT_CONFIG_SECRET = Component("deployment-config", NameKind.SECRET)

FUNCTION_SECURITY_GROUP = Component("function", NameKind.SECURITY_GROUP)
ENDPOINTS_SECURITY_GROUP = Component("endpoints", NameKind.SECURITY_GROUP)

ERRORS_ALARM = Component("function-errors", NameKind.ALARM)
THROTTLES_ALARM = Component("throttles", NameKind.ALARM)
DURATION_ALARM = Component("duration", NameKind.ALARM)
DEAD_LETTERS_ALARM = Component("dead-letters", NameKind.ALARM)
WORKER_ERRORS_ALARM = Component("worker-errors", NameKind.ALARM)
EXECUTIONS_FAILED_ALARM = Component("executions-failed", NameKind.ALARM)
REPLICATION_LATENCY_ALARM = Component("replication-latency", NameKind.ALARM)
VALIDATE_ERRORS_ALARM = Component("validate-errors", NameKind.ALARM)
MIGRATE_ERRORS_ALARM = Component("migrate-errors", NameKind.ALARM)
ROLLBACK_ERRORS_ALARM = Component("rollback-errors", NameKind.ALARM)

REGION_DASHBOARD = Component("region", NameKind.DASHBOARD)
# Named by the primary of the day: a change of primary makes a new one and removes the old, in that order,
# which one name for both would not survive.
OVERVIEW_DASHBOARD = Component("overview", NameKind.DASHBOARD)

WORKER_CARRY_POLICIES: tuple[Component, ...] = tuple(
    Component(f"worker-carry-{number}", NameKind.POLICY) for number in range(1, MANAGED_POLICIES.most + 1)
)
"""What the worker may carry, where that does not fit its inline policies; as many of them as it needs."""

COMPONENTS: tuple[Component, ...] = (
    *(value for value in list(globals().values()) if isinstance(value, Component)),
    *WORKER_CARRY_POLICIES,
)


STATE_KEY_ALIAS = "alias/regionshift-state"
"""The alias of the key of `state_bucket`."""


def state_bucket(account: str) -> str:
    """The name of the bucket that `bootstrap` makes in an account for states."""
    return f"regionshift-state-{account}"


PIPELINE_SESSION: Final = 14_400
"""Seconds that a session of a pipeline's role lasts: a wave with its bake, or a `destroy` that waits for network
interfaces."""


class PipelineRole(StrEnum):
    """The roles of a pipeline, which `bootstrap` makes."""

    PREVIEW = "preview"
    """Reads, and nothing else."""
    DEPLOY = "deploy"
    """Stands the environment up, changes it, takes it down."""
    OPERATE = "operate"
    """Works with its data: migrates, takes a migration back, validates."""

    def role_name(self, config: MigrationConfig) -> str:
        """The role's name."""
        return config.names.pipeline(self.value)

    def arn(self, config: MigrationConfig) -> str:
        """The role's ARN."""
        return (
            f"arn:{partition_of(config.regions.primary)}:iam::{config.account}:role/{self.role_name(config)}"
        )

    def github_environment(self, config: MigrationConfig) -> str | None:
        """The GitHub environment whose jobs may take the role, called like the role; None for jobs of none."""
        return None if self is PipelineRole.PREVIEW else self.role_name(config)


def boundary_arn(config: MigrationConfig) -> str:
    """The ARN of the permissions boundary that `bootstrap` makes for the environment's roles."""
    partition, name = partition_of(config.regions.primary), config.names.pipeline("boundary")
    return f"arn:{partition}:iam::{config.account}:policy/{name}"


def replication_failed_alarm(destination: str) -> Component:
    """The alarm on what was not replicated to ``destination``; it stands in the source's region."""
    return Component(f"replication-failed-to-{destination}", NameKind.ALARM)


@dataclass(frozen=True)
class EnvironmentName:
    """One name of the environment and the region that it is for."""

    name: str
    kind: NameKind
    component: str
    region: str


@dataclass(frozen=True)
class NameProblem(EnvironmentName):
    """One name that AWS would refuse, or that two things share."""

    problem: str


def every_name(config: MigrationConfig) -> list[EnvironmentName]:
    """Every name of the environment in every region, in a fixed order."""
    return [name for region in dict.fromkeys(config.all_regions) for name in _in_region(config, region)]


def name_problems(config: MigrationConfig) -> list[NameProblem]:
    """What is wrong with the names of the environment; empty when AWS will take all of them."""
    problems: list[NameProblem] = []
    owners: dict[tuple[NameKind, str], EnvironmentName] = {}
    for name in every_name(config):
        faults = list(name.kind.faults(name.name, name.region))
        other = owners.setdefault((name.kind, name.name), name)
        if other is not name:
            shared = f"{other.component} ({other.region}) and {name.component} ({name.region})"
            faults.append(f"is the name of both {shared}")
        problems += (NameProblem(**vars(name), problem=fault) for fault in faults)
    return problems


def _in_region(config: MigrationConfig, region: str) -> Iterator[EnvironmentName]:
    names = config.names
    used, unused = NameKind.PARAMETER, NameKind.SECRET
    if config.application.store != "ssm":
        used, unused = unused, used
    components = [
        *(each for each in COMPONENTS if each.kind is not unused),
        # Any region may become the primary and replicate to the others.
        *(replication_failed_alarm(other) for other in dict.fromkeys(config.all_regions) if other != region),
        *(Component(secret, used) for secret in config.application.secrets),
    ]
    for component in components:
        yield EnvironmentName(component.name(names, region), component.kind, component.part, region)
    for function in (FUNCTION, WORKER):
        group = names.function_log_group(function.name(names, region))
        yield EnvironmentName(group, NameKind.LOG_GROUP, function.part, region)
