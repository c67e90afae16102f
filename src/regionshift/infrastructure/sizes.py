"""Compute the sizes of the documents that the program writes, from the settings alone, and compare them with AWS's
quotas. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from regionshift.infrastructure.carried import worker_variables
from regionshift.infrastructure.policies import resources
from regionshift.infrastructure.policies.packing import length
from regionshift.infrastructure.policies.statement import document
from regionshift.infrastructure.site import Site
from regionshift.infrastructure.worker_rights import ROOM, foreseen, worker_policies
from regionshift.settings import components as named
from regionshift.settings.config import MigrationConfig
from regionshift.settings.quotas import (
    ADVANCED_PARAMETER,
    ALARM_ACTIONS,
    ALARM_DESCRIPTION,
    BUCKET_POLICY,
    DASHBOARD_METRICS,
    DEFINITION,
    FUNCTION_DESCRIPTION,
    INLINE_POLICIES,
    KEY_POLICY,
    MANAGED_POLICY,
    QUEUE_POLICY,
    REPLICATION_RULES,
    ROLE_DESCRIPTION,
    SECRET,
    TOPIC_POLICY,
    TRUST_POLICY,
    VARIABLES,
    WIDGET_METRICS,
    Quota,
    policy_characters,
)


@dataclass(frozen=True)
class DocumentSize:
    """One document with a quota of AWS.

    Args:
        what: its name.
        size: its future size, in the quota's unit.
        most: the quota, or less where room is kept.
        shorten: what in the settings makes it shorter.
    """

    what: str
    region: str
    size: int
    most: int
    quota: Quota
    shorten: str

    @property
    def is_too_large(self) -> bool:
        """Whether AWS would refuse it."""
        return self.size > self.most

    @property
    def problem(self) -> str:
        """What is too large, in words."""
        return f"{self.what} would have {self.size:,} {self.quota.unit}, and {self.most:,} fit ({self.quota.page})"


_CARRY = (
    "shorten `carry`: fewer entries, shorter names and prefixes; one prefix above several takes their place"
)
_OPERATORS = "shorten access.operators: fewer of them, or a pattern with * for several"


def documents(config: MigrationConfig) -> Iterator[DocumentSize]:
    """Yield every document of every region that valid settings can make too large.

    A rule of the settings checks the configuration that the function reads (`settings.rules`). Everything else that the
    program writes fits its quota with any settings. A test checks this with `LIMITS`.
    """
    for region in dict.fromkeys(config.all_regions):
        yield from _of_region(Site.by_settings(config, region))


def _of_region(site: Site) -> Iterator[DocumentSize]:
    made, bucket = foreseen(site), site.name(named.DEPLOYMENT_BUCKET)
    policies = worker_policies(site, made)
    inline = sum(length(each.statements) for each in policies.inline)
    role = site.name(named.WORKER_ROLE)
    yield DocumentSize(f"the inline policies of {role}", site.region, inline, ROOM, INLINE_POLICIES, _CARRY)
    for component, statements in policies.managed.items():
        what, size = f"the policy {site.name(component)}", length(statements)
        yield DocumentSize(what, site.region, size, MANAGED_POLICY.most, MANAGED_POLICY, _CARRY)
    given = worker_variables(site, bucket, str(made.topic), str(made.records_key))
    what = f"the variables of {site.name(named.WORKER)}"
    yield DocumentSize(what, site.region, _json_bytes(given), VARIABLES.most, VARIABLES, _CARRY)
    writers = resources.deployment_bucket_writers(site)
    arn = f"arn:{site.partition}:s3:::{bucket}"
    statements = resources.deployment_bucket_statements(arn, **writers)
    yield DocumentSize(
        f"the policy of {bucket}, with room for its fence",
        site.region,
        len(document([*statements, resources.bucket_fence(arn)]).encode()),
        BUCKET_POLICY.most,
        BUCKET_POLICY,
        _OPERATORS,
    )


_Measure = Callable[[Any], int]


def _bytes(text: str) -> int:
    return len(text.encode())


def _json_bytes(value: object) -> int:
    return len(json.dumps(value, separators=(",", ":")).encode())


def _metrics(body: str) -> list[int]:
    return [len(widget["properties"].get("metrics", ())) for widget in json.loads(body)["widgets"]]


LIMITS: Mapping[str, tuple[tuple[str, Quota, _Measure], ...]] = MappingProxyType(
    {
        "aws:cloudwatch/dashboard:Dashboard": (
            ("dashboardBody", DASHBOARD_METRICS, lambda body: sum(_metrics(body))),
            ("dashboardBody", WIDGET_METRICS, lambda body: max(_metrics(body))),
        ),
        "aws:cloudwatch/metricAlarm:MetricAlarm": (
            ("alarmDescription", ALARM_DESCRIPTION, len),
            ("alarmActions", ALARM_ACTIONS, len),
            ("okActions", ALARM_ACTIONS, len),
        ),
        "aws:iam/policy:Policy": (("policy", MANAGED_POLICY, policy_characters),),
        "aws:iam/role:Role": (
            ("assumeRolePolicy", TRUST_POLICY, policy_characters),
            ("description", ROLE_DESCRIPTION, len),
        ),
        "aws:iam/rolePolicy:RolePolicy": (("policy", INLINE_POLICIES, policy_characters),),
        "aws:kms/key:Key": (("policy", KEY_POLICY, _bytes),),
        "aws:lambda/function:Function": (
            ("description", FUNCTION_DESCRIPTION, len),
            ("environment", VARIABLES, lambda given: _json_bytes(given["variables"])),
        ),
        "aws:s3/bucketPolicy:BucketPolicy": (("policy", BUCKET_POLICY, _bytes),),
        "aws:s3/bucketReplicationConfig:BucketReplicationConfig": (("rules", REPLICATION_RULES, len),),
        "aws:secretsmanager/secretVersion:SecretVersion": (("secretString", SECRET, _bytes),),
        "aws:sfn/stateMachine:StateMachine": (("definition", DEFINITION, _bytes),),
        "aws:sns/topicPolicy:TopicPolicy": (("policy", TOPIC_POLICY, _bytes),),
        "aws:sqs/queuePolicy:QueuePolicy": (("policy", QUEUE_POLICY, _bytes),),
        "aws:ssm/parameter:Parameter": (("value", ADVANCED_PARAMETER, _bytes),),
    }
)
"""AWS's quotas by type: the input, the quota, and how to measure the input."""


def measured(kind: str, inputs: Mapping[str, Any]) -> Iterator[tuple[Quota, int]]:
    """Return each quota of a resource of type ``kind``, with the size of its known inputs."""
    for name, quota, measure in LIMITS.get(kind, ()):
        try:
            size = measure(inputs[name])
        except (AttributeError, KeyError, TypeError, ValueError):
            continue  # left out, a secret, or unknown before it is created
        yield quota, size
