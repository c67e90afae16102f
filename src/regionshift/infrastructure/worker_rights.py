"""The policies of the worker's role: inline ones as long as they fit, otherwise managed ones for what ``carry``
names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from regionshift.infrastructure import carried
from regionshift.infrastructure.policies import function as common
from regionshift.infrastructure.policies import worker
from regionshift.infrastructure.policies.packing import length, packed
from regionshift.infrastructure.policies.statement import FENCE, Statement
from regionshift.infrastructure.site import Site
from regionshift.settings import components as named
from regionshift.settings.quotas import INLINE_POLICIES, MANAGED_POLICIES, MANAGED_POLICY

ROOM = INLINE_POLICIES.most - len(FENCE)
"""The characters of a role's inline policies, without the room for the policy that fences it."""


@dataclass(frozen=True)
class RolePolicy:
    """One policy, before the resources that it names exist: ``build(**given)`` returns its statements.

    Args:
        after: the policy whose statements this one took over. It is shortened before this one is created, because both
            at full length may be more than a role takes.
    """

    component: named.Component
    build: Callable[..., Sequence[Statement]]
    given: Mapping[str, Any]
    after: named.Component | None = None

    @property
    def statements(self) -> list[Statement]:
        """The statements of a policy that names only known resources."""
        return list(self.build(**self.given))


@dataclass(frozen=True)
class WorkerPolicies:
    """The policies of the role. ``managed``: statements by policy; empty where all fit inline."""

    inline: tuple[RolePolicy, ...]
    managed: Mapping[named.Component, list[Statement]]


@dataclass(frozen=True)
class Made:
    """The ARNs of the resources that the worker uses."""

    key: pulumi.Input[str]
    records_key: pulumi.Input[str]
    topic: pulumi.Input[str]
    log_group: pulumi.Input[str]


def foreseen(site: Site) -> Made:
    """Return these ARNs before the resources exist. Only the ids of keys are made up, with the right length (KMS
    Developer Guide, "Key id").
    """
    key = site.arn("kms", "key/00000000-0000-0000-0000-000000000000")
    log_group = site.names.function_log_group(site.name(named.WORKER))
    return Made(
        key,
        key,
        site.arn("sns", site.name(named.DEPLOYMENT_TOPIC)),
        site.arn("logs", f"log-group:{log_group}"),
    )


def worker_policies(site: Site, made: Made) -> WorkerPolicies:
    """Return all policies of the role.

    The rights on what ``carry`` names are in inline policies while they fit, otherwise in managed ones that name every
    bucket. If those do not fit either, patterns name the buckets that differ only in their region. `sizes` reports when
    even those are too many.
    """
    own = tuple(_own(site, made))
    room = ROOM - sum(length(each.statements) for each in _own(site, foreseen(site)))
    for by_pattern in (False, True):
        carry = tuple(_carrying(site, by_pattern))
        if sum(length(each.statements) for each in carry) <= room:
            return WorkerPolicies((*own, *carry), {})
        parts = packed([one for each in carry for one in each.statements], MANAGED_POLICY.most)
        if fit(parts):
            break
    # Parts beyond the last policy count as one that is too long, so `sizes` reports it.
    last = len(named.WORKER_CARRY_POLICIES) - 1
    parts = [*parts[:last], [one for part in parts[last:] for one in part]] if len(parts) > last else parts
    return WorkerPolicies(own, dict(zip(named.WORKER_CARRY_POLICIES, parts, strict=False)))


def fit(parts: Sequence[Sequence[Statement]]) -> bool:
    """Return whether a role takes managed policies of these statements."""
    return len(parts) <= MANAGED_POLICIES.most and all(length(part) <= MANAGED_POLICY.most for part in parts)


def _own(site: Site, made: Made) -> Iterator[RolePolicy]:
    account = site.config.account
    yield RolePolicy(
        named.WORKER_RECORDS_POLICY,
        worker.record_statements,
        {"bucket": carried.records(site), "prefixes": carried.RECORDS, "account": account},
    )
    yield RolePolicy(named.WORKER_SEALS_POLICY, common.seal_statements, {"key": made.records_key})
    services = carried.services(site.config)
    yield RolePolicy(
        named.WORKER_KEY_POLICY,
        worker.key_statements,
        {
            "key": made.key,
            # Records are objects in S3, and the topic is under the key too.
            "services": site.service_hosts(*sorted({"s3", "sns", *services})),
            # Sorted by name, so that another primary changes nothing here.
            "elsewhere": [site.arn_in("kms", region, "key/*") for region in sorted(site.config.all_regions)],
            "reading": site.service_hosts(*services, everywhere=True),
        },
    )
    yield RolePolicy(
        named.WORKER_LOGS_POLICY, common.cloudwatch_logs_statements, {"log_groups": [made.log_group]}
    )
    yield RolePolicy(named.WORKER_TRACING_POLICY, worker.unscoped_statements, {})
    yield RolePolicy(named.WORKER_TOPIC_POLICY, worker.topic_statements, {"topic": made.topic})


def _carrying(site: Site, by_pattern: bool) -> Iterator[RolePolicy]:
    if keys := carried.keys(site):
        known = [(key.resource, key.alias, site.service_hosts(*key.services)) for key in keys]
        yield RolePolicy(
            named.WORKER_KEYS_POLICY, worker.named_key_statements, {"named": known}, named.WORKER_KEY_POLICY
        )
    for kind in site.config.carry.by_kind:
        if (rights := carried.RIGHTS[kind](site, by_pattern)) is not None:
            yield RolePolicy(rights.policy, rights.statements, rights.reach)
