"""The regions' deployment topics are told of a deployment, and one that fails stops nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from regionshift.aws.clients import Clients
from regionshift.errors import WorkFailed
from regionshift.runs import topics as telling
from regionshift.runs.messages import News
from regionshift.runs.topics import TopicNotifier
from regionshift.settings.config import MigrationConfig

PRIMARY, SECONDARY = "us-east-1", "eu-west-1"
NEWS = News("deploy", "success", "wave 1 of 1 is done", {"wave": 1})
CONFIG = MigrationConfig.model_validate(
    {
        "project": "shop",
        "environment": "dev",
        "environment_suffix": "pr-42",
        "account": "123456789012",
        "regions": {"primary": PRIMARY, "secondaries": [SECONDARY]},
        "network": {"vpc_cidr": "10.0.0.0/8"},
    }
)


@dataclass
class Sns:
    """What was published, by region; ``wrong`` is done in a region instead."""

    wrong: dict[str, Callable[[], None]] = field(default_factory=dict)
    published: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def get(self, service: str, region: str) -> _Client:
        assert service == "sns"
        return _Client(self, region)


@dataclass
class _Client:
    sns: Sns
    region: str

    def publish(self, **request: Any) -> dict[str, str]:
        self.sns.wrong.get(self.region, lambda: None)()
        self.sns.published.append((self.region, request))
        return {"MessageId": "1"}


def topics(sns: Sns, complaints: list[str]) -> TopicNotifier:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    return TopicNotifier(cast(Clients, sns), CONFIG, lambda: now, complaints.append)


def test_every_region_is_told_the_same() -> None:
    sns, complaints = Sns(), list[str]()
    topics(sns, complaints).on_news("000001-deployment-a", NEWS, [PRIMARY, SECONDARY])
    assert not complaints
    told = dict(sns.published)
    assert set(told) == {PRIMARY, SECONDARY}
    for region, request in told.items():
        topic = f"shop-deployment-{region}-pr-42"
        assert request["TopicArn"] == f"arn:aws:sns:{region}:123456789012:{topic}"
        message = json.loads(request["Message"])
        link = message.pop("link")
        assert link.startswith(f"https://{region}.console.aws.amazon.com/") and "$252F" in link
        assert f"shop-migration-{region}-pr-42" in link
        assert message == {
            "event": "deploy",
            "environment": "pr-42",
            "region": region,
            "deployment_id": "000001-deployment-a",
            "migration_id": None,
            "status": "success",
            "time": "2026-01-02T00:00:00+00:00",
            "summary": "wave 1 of 1 is done",
            "counts": {"wave": 1},
        }


def _raise(error: Exception) -> Callable[[], None]:
    def wrong() -> None:
        raise error

    return wrong


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "NotFound", "Message": "no topic"}}, "Publish"),
        EndpointConnectionError(endpoint_url="https://sns"),
        WorkFailed("no client"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_topic_that_fails_is_complained_of_once_and_the_others_are_told(error: Exception) -> None:
    sns, complaints = Sns({SECONDARY: _raise(error)}), list[str]()
    tell = topics(sns, complaints).on_news
    for _ in range(2):
        tell("run", NEWS, [PRIMARY, SECONDARY])
    assert complaints == [f"the deployment topic of {SECONDARY} could not be told: {error}"]
    assert [region for region, _ in sns.published] == [PRIMARY, PRIMARY]


def test_a_topic_that_does_not_answer_is_waited_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch, hang: Callable[[], str]
) -> None:
    monkeypatch.setattr(telling, "_PATIENCE_S", 0.05)
    kept_alive = list[bool]()

    def hanging() -> None:
        kept_alive.append(not threading.current_thread().daemon)
        hang()

    sns, complaints = Sns({SECONDARY: hanging}), list[str]()
    topics(sns, complaints).on_news("run", NEWS, [SECONDARY, PRIMARY])
    assert complaints == [f"the deployment topic of {SECONDARY} could not be told: no answer within 0 s"]
    assert [region for region, _ in sns.published] == [PRIMARY]
    assert kept_alive == [False], "the command would not end before the topic answers"
