"""What a killed run left is found by its tags."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from regionshift.aws.clients import Clients
from regionshift.aws.resource_finders import FINDS, Look
from regionshift.operations.environment import Environment
from regionshift.operations.orphans import look_for_orphans, orphan_findings

pytestmark = pytest.mark.component
REGION = "eu-north-1"


@dataclass
class _State:
    """A state that knows these resources."""

    kept: list[dict[str, Any]]

    def resources(self) -> list[dict[str, Any]]:
        return self.kept


def test_what_the_state_does_not_know_is_named(
    clients: Clients, environment_of: Callable[..., Environment]
) -> None:
    tags = [{"Key": "Project", "Value": "orphanage"}, {"Key": "Environment", "Value": "dev"}]
    ec2 = clients.get("ec2", REGION)
    known, lost = (
        ec2.create_vpc(
            CidrBlock="10.0.0.0/22",
            TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}],  # type: ignore[typeddict-item]
        )["Vpc"]["VpcId"]
        for _ in range(2)
    )
    state = _State([{"id": known, "outputs": {}}])
    environment = environment_of(engine=state, project="orphanage", regions={"primary": REGION})
    (found,) = look_for_orphans(environment)
    assert found.what.endswith(f"vpc/{lost}")
    (finding,) = orphan_findings(environment)
    assert (finding.severity, finding.region) == ("warning", REGION)
    ec2.delete_vpc(VpcId=lost)
    assert look_for_orphans(environment) == []
    ec2.delete_vpc(VpcId=known)


def test_a_disabled_key_is_still_ours_and_an_alarm_of_somebody_else_is_not(clients: Clients) -> None:
    """One that waits for its deletion is none any more (KMS Developer Guide, "Key states of AWS KMS keys")."""
    owner = {"Project": "finders", "Environment": "dev", "Name": "key"}
    pairs = [{"TagKey": name, "TagValue": value} for name, value in owner.items()]
    kms, cloudwatch = clients.get("kms", REGION), clients.get("cloudwatch", REGION)
    key = kms.create_key(Tags=pairs)["KeyMetadata"]["KeyId"]  # type: ignore[arg-type]
    kms.disable_key(KeyId=key)
    look = Look(clients, "123456789012", REGION, {"name": "finders-alarm"}, owner)
    assert list(FINDS["aws:kms/key:Key"](look)) == [key]
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert list(FINDS["aws:kms/key:Key"](look)) == []
    alarm: Any = {
        "AlarmName": "finders-alarm",
        "MetricName": "Errors",
        "Namespace": "AWS/Lambda",
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "Period": 60,
        "Statistic": "Sum",
        "Threshold": 1,
    }
    find = FINDS["aws:cloudwatch/metricAlarm:MetricAlarm"]
    cloudwatch.put_metric_alarm(**alarm, Tags=[{"Key": "Project", "Value": "others"}])
    assert list(find(look)) == []
    cloudwatch.delete_alarms(AlarmNames=["finders-alarm"])
    cloudwatch.put_metric_alarm(**alarm, Tags=[{"Key": k, "Value": v} for k, v in owner.items()])
    assert list(find(look)) == ["finders-alarm"]
