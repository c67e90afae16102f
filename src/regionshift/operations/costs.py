"""The monthly cost of idle resources, by the price of each.

An estimate: list prices of us-east-1 in US dollars, mid-2026. docs/costs.md has what use adds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regionshift.engine.events import ResourceStep
from regionshift.infrastructure.network import ENDPOINT_SERVICES
from regionshift.report.values import MonthlyCost
from regionshift.settings.config import MigrationConfig

PRICES_OF = "an estimate: list prices of us-east-1, mid-2026; no storage, no requests"
# aws.amazon.com/kms/pricing, /cloudwatch/pricing, /s3/pricing (replication metrics are charged as custom metrics,
# four a rule), /privatelink/pricing (an hour and zone), /secrets-manager/pricing.
_KEY, _ALARM, _DASHBOARD, _METRIC, _ENDPOINT_HOUR, _SECRET = 1.00, 0.10, 3.00, 0.30, 0.01, 0.40
_METRICS_OF_A_RULE = 4
_HOURS = 730
_MADE = ("create", "import")
_FLAT: Mapping[str, float] = {
    "aws:kms/key:Key": _KEY,
    "aws:cloudwatch/metricAlarm:MetricAlarm": _ALARM,
    "aws:cloudwatch/dashboard:Dashboard": _DASHBOARD,
    "aws:secretsmanager/secret:Secret": _SECRET,
}


def price_of(kind: str, inputs: Mapping[str, Any]) -> float:
    """US dollars a month for a resource of the type ``kind`` that is not used."""
    if kind == "aws:s3/bucketReplicationConfig:BucketReplicationConfig":
        return _METRICS_OF_A_RULE * _METRIC * _count(inputs.get("rules"))
    if kind == "aws:ec2/vpcEndpoint:VpcEndpoint" and inputs.get("vpcEndpointType") == "Interface":
        return _ENDPOINT_HOUR * _HOURS * _count(inputs.get("subnetIds"))
    return _FLAT.get(kind, 0.0)


def _count(value: object) -> int:
    """The length of a list. A value that is known only after creation is a text, and counts as 0."""
    return len(value) if isinstance(value, list | tuple) else 0


def cost_of(steps: Sequence[ResourceStep]) -> MonthlyCost:
    """The cost before and after a plan. AWS charges nothing for a key that waits for its deletion.

    Args:
        steps: one a resource (`final_steps`), also for resources that do not change.
    """
    before = sum(price_of(each.type, each.old or each.new) for each in steps if each.op not in _MADE)
    after = sum(price_of(each.type, each.new or each.old) for each in steps if each.op != "delete")
    return MonthlyCost(round(before, 2), round(after, 2), PRICES_OF)


def monthly_cost(config: MigrationConfig) -> float:
    """US dollars a month for what these settings describe, before there is a plan."""
    secondaries = len(config.regions.secondaries)
    regions = 1 + secondaries
    cost = 2 * _KEY * regions
    # Nine alarms a region; the replication is watched from both of its ends.
    cost += _ALARM * (9 * regions + 2 * secondaries)
    # One a region, and one of the environment in the primary.
    cost += _DASHBOARD * (regions + 1)
    cost += _METRICS_OF_A_RULE * _METRIC * secondaries
    if config.network.function_in_vpc:
        cost += _ENDPOINT_HOUR * _HOURS * len(ENDPOINT_SERVICES) * config.network.zones * regions
    if config.application.store == "secretsmanager":
        cost += _SECRET * (1 + len(config.application.secrets)) * regions
    return cost
