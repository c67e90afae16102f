"""What `doctor` reckons from the settings is what the program makes: its types in each region, and what they cost."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from recorder import Run, built, config

from regionshift.infrastructure.rights import types_of
from regionshift.operations.costs import cost_of, monthly_cost

EVERYTHING: dict[str, Any] = {
    "network": {"vpc_cidr": "10.0.0.0/8", "function_in_vpc": True, "zones": 3},
    "alerts": {"emails": ["a@example.com"]},
    "application": {"store": "secretsmanager", "secrets": {"database": {"env": "DATABASE"}}},
}
MANY_BUCKETS: dict[str, Any] = {
    "carry": {"s3": [{"bucket": f"a-bucket-of-many-{n}" + "-{region}", "prefix": "p/"} for n in range(30)]}
}
ALONE: dict[str, Any] = {
    "regions": {"primary": "us-east-1"},
    "network": {"vpc_cidr": "10.0.0.0/8", "flow_logs": False},
}


@pytest.fixture(
    scope="module",
    params=[{}, EVERYTHING, MANY_BUCKETS, ALONE],
    ids=["smallest", "everything", "many buckets", "one region"],
)
def made(request: pytest.FixtureRequest) -> tuple[dict[str, Any], Run]:
    return request.param, built(config(**request.param))


def test_the_types_of_a_region_are_those_of_the_program(made: tuple[dict[str, Any], Run]) -> None:
    settings, run = made
    found: defaultdict[str, set[str]] = defaultdict(set)
    for one in run.plain:
        for region in config(**settings).all_regions:
            if one.name.endswith(region):
                found[region].add(one.type)
    assert found == {region: set(types_of(config(**settings), region)) for region in found}


def test_the_cost_is_that_of_what_the_program_makes(made: tuple[dict[str, Any], Run]) -> None:
    settings, run = made
    zones = sum(
        len(one.inputs["subnetIds"])
        for one in run.of("ec2/vpcEndpoint:VpcEndpoint")
        if one.inputs["vpcEndpointType"] == "Interface"
    )
    rules = sum(
        len(one.inputs["rules"]) for one in run.of("s3/bucketReplicationConfig:BucketReplicationConfig")
    )
    cost = (
        1.00 * len(run.of("kms/key:Key"))
        + 0.10 * len(run.of("cloudwatch/metricAlarm:MetricAlarm"))
        + 3.00 * len(run.of("cloudwatch/dashboard:Dashboard"))
        + 4 * 0.30 * rules
        + 7.30 * zones
        + 0.40 * len(run.of("secretsmanager/secret:Secret"))
    )
    assert monthly_cost(config(**settings)) == pytest.approx(cost)
    planned = cost_of(run.steps)
    assert (planned.before, planned.after) == (0, pytest.approx(cost))


def test_what_make_test_aws_says_it_would_cost_is_so() -> None:
    assert monthly_cost(config()) == pytest.approx(23.50)
