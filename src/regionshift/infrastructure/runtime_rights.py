"""What the environment's own roles may do in a region, before anything is made: each statement with its reason."""

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
    """One role of the environment and all that it may do."""

    name: str
    purpose: str
    statements: tuple[ExplainedStatement, ...]


def runtime_roles(site: Site) -> list[RuntimeRole]:
    """Every role of a region by the settings. What AWS makes up (ids of keys, subnets and groups) stands for itself."""
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
    """Why a role has the statement; numbers in a Sid only tell alike ones apart."""
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
    machine = state_machine_arn(site)
    executions = machine.replace(":stateMachine:", ":execution:") + ":*"
    yield from function.state_machine_statements(machine, executions)
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
        "Count": "Counts its actions, in its own namespace alone.",
        "CreateInterfaces": "Lambda places the function in the VPC's subnets in the name of its role.",
        "CreateStreams": "A flow log has a stream for each network interface.",
        "DeadLetters": "Lambda leaves invocations there that failed permanently, in the name of the role.",
        "DecryptSource": "Objects to be replicated lie under the primary's key.",
        "DeliverLogs": "Step Functions has the machine's log delivered; AWS lets that be no narrower.",
        "EncryptReplicas": "Replicas are written under the secondaries' keys.",
        "FindRecords": "S3 says that an object is not there only to who may list the bucket.",
        "FollowMapRuns": "A map run is an execution of its own, which is followed and stopped.",
        "KeepConfiguration": "It never changes what it is configured by, whatever else is allowed.",
        "KeepProgramsOwn": "What the command keeps in the bucket is not the function's to change.",
        "KeepRecords": "Versions of records are the way back of a migration, and are never deleted.",
        "ListGroups": "Flow logs look for their group; a list of groups names none.",
        "ListObjects": "What is carried is listed below the prefixes that `carry` names.",
        "ListParameters": "Parameters are found by their path; AWS lists names as a whole.",
        "ListStreams": "Flow logs look for the stream that they write to.",
        "MakeTaggedSecrets": "Makes at the target what is not there, with the tags that select it.",
        "Notify": "Tells the deployment topic how a migration or a validation ended.",
        "ReadConfiguration": "Reads what it is configured by.",
        "ReadManifest": "A map runs over the list of batches that the plan wrote.",
        "ReadObjects": "Copies and proves objects below the prefixes that `carry` names.",
        "ReadParameters": "Reads the parameters that `carry` names, in the environment's regions.",
        "ReadSecrets": "Reads the secrets that `carry` names, in the environment's regions.",
        "ReadSource": "Reads the versions that are to be replicated.",
        "ReadTaggedSecrets": "Reads secrets that have all the tags of an entry of `carry`.",
        "ReadWithKeys": "What is read in another region lies under a key there, whose id is not known here.",
        "RemoveInterfaces": "Lambda takes its network interfaces away in the name of the role.",
        "SealRecords": "Seals the records of migrations and checks their seals.",
        "SeeBucket": "`validate` looks how the bucket is kept, and a migration finds what is in it.",
        "SeeInterfaces": "Lambda looks for its network interfaces; AWS lets such lists be no narrower.",
        "SeeKey": "`validate` looks whether the key turns.",
        "SeeMigrations": "Looks whether a migration runs.",
        "SeeRoom": "As many workers copy at once as the account has room for.",
        "SeeSecrets": "Names and settings of a secret say whether it is there and who may have changed it.",
        "SeeSource": "Reads by which rules the primary's bucket replicates, and what is in it.",
        "SeeSources": "A source must keep versions.",
        "SeeTargets": "A target must keep versions, and its rules say until when a migration can be taken back.",
        "StartMapRuns": "A distributed map is an execution that the machine starts.",
        "StartMigrations": "Whoever calls the function for a migration from another region has the machine run it.",
        "Trace": "Sends traces; X-Ray lets that be no narrower.",
        "UseInterfaces": "Lambda gives its network interfaces addresses in the name of the role.",
        "UseKey": "What it reads and writes through these services lies under the region's key.",
        "UseObjects": "Copies into its own bucket, proves it, and takes it back.",
        "UseRecords": "Keeps the records of migrations: plan, what was before, what was written.",
        "UseStreams": "Begins streams in its log groups, and makes no group.",
        "WriteLogs": "Writes its log.",
        "WriteMapResults": "A map writes what became of its batches.",
        "WriteObjects": "Writes what `carry` names in this region, and takes it back.",
        "WriteParameters": "Writes the parameters that `carry` names in this region, and takes them back.",
        "WriteReplicas": "Writes replicas of objects, delete markers and tags.",
        "WriteSecrets": "Writes the secrets that `carry` names in this region, and takes them back.",
        "WriteTaggedSecrets": "Writes secrets in this region that have all the tags of an entry, and takes them back.",
        "WriteWithKeys": "Uses the keys that entries of `carry` name, each through its service.",
    }
)
"""By Sid, why a role of the environment has the statement."""
