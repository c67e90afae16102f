"""What the contract cannot say about things with names: whose they are, and what AWS refuses."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from provider_cases.cloudwatch import key_for_logs
from provider_lab import Lab, RefusedError

pytestmark = pytest.mark.provider

_TOPIC = "aws:sns/topic:Topic"
_QUEUE = "aws:sqs/queue:Queue"
_ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
_GROUP = "aws:cloudwatch/logGroup:LogGroup"
_WATCH = {
    "namespace": "AWS/Lambda",
    "metricName": "Errors",
    "statistic": "Sum",
    "period": 60,
    "evaluationPeriods": 1,
    "threshold": 0,
    "comparisonOperator": "GreaterThanThreshold",
}


@pytest.mark.parametrize(
    ("token", "more"), [(_TOPIC, {}), (_QUEUE, {}), (_GROUP, {}), (_ALARM, _WATCH)], ids=str
)
def test_what_belongs_to_another_resource_is_left_alone(lab: Lab, token: str, more: dict[str, Any]) -> None:
    name = f"{lab.unique}-mine"
    first = lab.create(token, {**more, "name": name, "tags": {"Owner": "first"}}, "first")
    with pytest.raises(grpc.RpcError, match="exist"):
        lab.create(token, {**more, "name": name, "tags": {"Owner": "second"}}, "second")
    untouched = lab.refresh(first)
    assert untouched is not None
    assert untouched.properties["tagsAll"]["Owner"] == "first"


@pytest.mark.parametrize(
    ("token", "inputs"),
    [
        (_TOPIC, {"name": "has a space"}),
        (_TOPIC, {"name": "plain", "fifoTopic": True}),
        (_QUEUE, {"name": "a" * 81}),
        (_QUEUE, {"messageRetentionSeconds": 1_209_601}),
        (_QUEUE, {"kmsMasterKeyId": "alias/one", "sqsManagedSseEnabled": True}),
        (_GROUP, {"retentionInDays": 8}),
        (_GROUP, {"name": "a:b"}),
        (_ALARM, {**_WATCH, "period": 45}),
        (_ALARM, {**_WATCH, "extendedStatistic": "p95"}),
        (_ALARM, {**_WATCH, "comparisonOperator": "Above"}),
        ("aws:cloudwatch/dashboard:Dashboard", {"dashboardName": "a.b", "dashboardBody": "{}"}),
        ("aws:cloudwatch/dashboard:Dashboard", {"dashboardName": "ab", "dashboardBody": "{"}),
    ],
    ids=str,
)
def test_what_aws_would_refuse_is_refused_first(lab: Lab, token: str, inputs: dict[str, Any]) -> None:
    with pytest.raises(RefusedError):
        lab.check(lab.urn(token, "wrong"), inputs)


def test_a_log_group_can_change_its_key(lab: Lab) -> None:
    inputs = {"name": f"/lab/{lab.unique}", "kmsKeyId": key_for_logs(lab)}
    made = lab.create(_GROUP, inputs)
    changed = {**inputs, "kmsKeyId": key_for_logs(lab)}
    assert not lab.plan(made, changed).replaces
    try:
        updated = lab.update(made, changed)
    except grpc.RpcError as error:
        if "Unknown action: AssociateKmsKey" in str(error):
            pytest.skip("the emulator has no AssociateKmsKey")
        raise
    assert updated.properties["kmsKeyId"] == changed["kmsKeyId"]


def test_an_address_is_subscribed_once(lab: Lab) -> None:
    topic = lab.create(_TOPIC, {"name": lab.unique})
    inputs = {"topic": topic.identity, "protocol": "email", "endpoint": "someone@example.com"}
    token = "aws:sns/topicSubscription:TopicSubscription"
    assert lab.create(token, inputs).identity == lab.create(token, inputs).identity
