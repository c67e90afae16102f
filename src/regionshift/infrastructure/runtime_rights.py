"""The rights of the environment's own roles in a region, before anything is created: each statement with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from regionshift.infrastructure.alarms import state_machine_arn
from regionshift.infrastructure.iam import KEY_SERVICES
from regionshift.infrastructure.operator_rights import ExplainedStatement
from regionshift.infrastructure.policies import function, services
from regionshift.infrastructure.policies.statement import Statement
from regionshift.infrastructure.site import Site
from regionshift.infrastructure.worker_rights import foreseen, worker_policies
from regionshift.settings import components as named
from regionshift.settings.components import Component
from regionshift.settings.config import MigrationConfig


@dataclass(frozen=True)
class RuntimeRole:
    """One role of the environment and all of its rights."""

    name: str
    purpose: str
    statements: tuple[ExplainedStatement, ...]


def runtime_roles(site: Site) -> list[RuntimeRole]:
    """Return every role of a region, derived from the settings. Ids that AWS makes up (keys, subnets, groups) are
    patterns.
    """
    found: tuple[tuple[Component, str, Sequence[Statement]], ...] = (
        (named.FUNCTION_ROLE, "the function", [*_of_function(site)]),
        (named.WORKER_ROLE, "the worker, which carries data", [*_of_worker(site)]),
        (named.STATE_MACHINE_ROLE, "the state machine, which runs migrations", [*_of_state_machine(site)]),
        (named.FLOW_LOGS_ROLE, "the VPC's flow logs", [*_of_flow_logs(site)]),
        (named.REPLICATION_ROLE, "replication to the secondaries", [*_of_replication(site)]),
    )
    return [
        RuntimeRole(
            site.name(component),
            purpose,
            tuple(ExplainedStatement(each, reason(each["Sid"])) for each in statements),
        )
        for component, purpose, statements in found
        if statements
    ]


def reason(sid: str) -> str:
    """Return why a role has the statement. Numbers in a Sid only tell similar statements apart."""
    return REASONS[re.sub(r"[0-9]+(x[0-9]+)?$", "", sid)]


def _of_function(site: Site) -> Iterator[Statement]:
    config, made = site.config, foreseen(site)
    bucket = _bucket(site, site.region)
    yield from function.s3_statements(bucket, config.account)
    yield from function.own_key_statements(str(made.key), site.service_hosts(*KEY_SERVICES))
    yield from function.seal_statements(str(made.records_key))
    if config.application.store == "ssm":
        name = site.name(named.DEPLOYMENT_CONFIG_PARAMETER)
        yield from function.parameter_statements(site.arn("ssm", f"parameter{name}"))
    else:
        name = site.name(named.DEPLOYMENT_CONFIG_SECRET)
        yield from function.secret_statements(site.arn("secretsmanager", f"secret:{name}-??????"))
    groups = [
        site.names.function_log_group(site.name(named.FUNCTION)),
        site.name(named.VALIDATION_LOG_GROUP),
        site.name(named.DEPLOYMENT_LOG_GROUP),
    ]
    yield from function.log_statements([site.arn("logs", f"log-group:{group}") for group in groups])
    yield from function.topic_statements(str(made.topic))
    yield from function.queue_statements(site.arn("sqs", site.name(named.DEAD_LETTERS)))
    yield from function.tracing_statements()
    yield from function.metrics_statements()
    yield from function.state_machine_statements(state_machine_arn(site))
    if config.network.function_in_vpc:
        interfaces = site.arn("ec2", "network-interface/*")
        yield from function.network_interface_statements(
            interfaces, [site.arn("ec2", "subnet/*")], [site.arn("ec2", "security-group/*")]
        )
        yield from function.interface_removal_statements(interfaces)


def _of_worker(site: Site) -> Iterator[Statement]:
    policies = worker_policies(site, foreseen(site))
    for inline in policies.inline:
        yield from inline.statements
    for statements in policies.managed.values():
        yield from statements


def _of_state_machine(site: Site) -> Iterator[Statement]:
    bucket, name = _bucket(site, site.region), site.name(named.STATE_MACHINE)
    yield from services.state_machine_statements(
        site.arn("lambda", f"function:{site.name(named.WORKER)}"),
        state_machine_arn(site),
        [site.arn("states", f"execution:{name}{of}:*") for of in ("", "/*")],
        f"{bucket}/migrations/*/plan/manifest.jsonl",
        f"{bucket}/migrations/*/map/*",
        site.config.account,
    )
    yield from services.log_delivery_statements()
    yield from function.key_statements(str(foreseen(site).key), site.service_hosts("s3"))


def _of_flow_logs(site: Site) -> Iterator[Statement]:
    if site.config.network.flow_logs:
        group = site.arn("logs", f"log-group:{site.name(named.FLOW_LOG_GROUP)}")
        yield from services.flow_log_statements(group, site.arn("logs", "log-group:*"))


def _of_replication(site: Site) -> Iterator[Statement]:
    config = site.config
    if not site.is_primary or not config.regions.secondaries:
        return
    ends = [
        services.ReplicationEnd(region, _bucket(site, region), _key(config, region))
        for region in (site.region, *sorted(config.regions.secondaries))
    ]
    yield from services.replication_statements(ends[0], ends[1:], config.account)


def _key(config: MigrationConfig, region: str) -> str:
    return str(foreseen(Site.by_settings(config, region)).key)


def _bucket(site: Site, region: str) -> str:
    return f"arn:{site.partition}:s3:::{named.DEPLOYMENT_BUCKET.name(site.names, region)}"


REASONS: Mapping[str, str] = MappingProxyType(
    {
        "CallWorker": "Each step of a migration is a call of the worker.",
        "Count": "Counts its actions, only in its own namespace.",
        "CreateInterfaces": "Lambda places the function in the VPC's subnets, with this role.",
        "CreateStreams": "A flow log has a stream for each network interface.",
        "DeadLetters": "Lambda puts invocations there that failed permanently, with this role.",
        "DecryptSource": "Replicated objects are under the primary's key.",
        "DeliverLogs": "Step Functions delivers the state machine's log. AWS cannot limit this further.",
        "EncryptReplicas": "Replicas are written under the secondaries' keys.",
        "FindRecords": "S3 reports a missing object only to callers that may list the bucket.",
        "FollowMapRuns": "Follows and stops map runs, which are executions of their own.",
        "KeepConfiguration": "It never changes its own configuration, whatever else is allowed.",
        "KeepProgramsOwn": "The function never changes what the command keeps in the bucket.",
        "KeepRecords": "Versions of records are never deleted: the rollback of a migration needs them.",
        "ListGroups": "Flow logs look for their group. A list of groups names none.",
        "ListObjects": "Lists objects under the prefixes that `carry` names.",
        "ListParameters": "Finds parameters by their path. AWS lists all names or none.",
        "ListStreams": "Flow logs look for the stream that they write to.",
        "MakeTaggedSecrets": "Creates missing secrets at the target, with the tags that select them.",
        "Notify": "Publishes the end of a migration or a validation to the deployment topic.",
        "ReadConfiguration": "Reads its configuration.",
        "ReadManifest": "Reads the list of batches that the plan wrote.",
        "ReadObjects": "Copies and checks objects under the prefixes that `carry` names.",
        "ReadParameters": "Reads the parameters that `carry` names, in the environment's regions.",
        "ReadSecrets": "Reads the secrets that `carry` names, in the environment's regions.",
        "ReadSource": "Reads the versions that it replicates.",
        "ReadTaggedSecrets": "Reads secrets that have all the tags of an entry of `carry`.",
        "ReadWithKeys": "Data in another region is under a key there, whose id is not known here.",
        "RemoveInterfaces": "Lambda deletes its network interfaces, with this role.",
        "SealRecords": "Seals the records of migrations and checks their seals.",
        "SeeBucket": "`validate` checks the configuration of the bucket, and a migration lists its objects.",
        "SeeInterfaces": "Lambda looks for its network interfaces. AWS cannot limit such lists further.",
        "SeeKey": "`validate` checks that the key is rotated.",
        "SeeMigrations": "Sees whether a migration runs.",
        "SeeRoom": "Reads how many workers the account has room for.",
        "SeeSecrets": "Reads names and settings of a secret: whether it exists, and who may have changed it.",
        "SeeSource": "Reads the replication rules of the primary's bucket, and lists its objects.",
        "SeeSources": "Checks that a source keeps versions.",
        "SeeTargets": "Checks that a target keeps versions, and until when a migration can be rolled back.",
        "StartMapRuns": "Starts the executions of a distributed map.",
        "StartMigrations": "Starts the state machine when the function is called for a migration from another region.",
        "Trace": "Sends traces. X-Ray cannot limit this further.",
        "UseInterfaces": "Lambda gives its network interfaces addresses, with this role.",
        "UseKey": "Data that it reads and writes through these services is under the region's key.",
        "UseObjects": "Copies into its own bucket, checks the copies, and undoes them.",
        "UseRecords": "Writes and reads the records of migrations: the plan, the state before, and what was written.",
        "UseStreams": "Creates streams in its log groups, and no group.",
        "WriteLogs": "Writes its log.",
        "WriteMapResults": "Writes the results of the batches.",
        "WriteObjects": "Writes and undoes the objects that `carry` names in this region.",
        "WriteParameters": "Writes and undoes the parameters that `carry` names in this region.",
        "WriteReplicas": "Writes replicas of objects, delete markers and tags.",
        "WriteSecrets": "Writes and undoes the secrets that `carry` names in this region.",
        "WriteTaggedSecrets": "Writes and undoes secrets of this region that have all the tags of an entry of `carry`.",
        "WriteWithKeys": "Uses the keys that entries of `carry` name, each through its service.",
    }
)
"""Why a role of the environment has the statement, by Sid."""
