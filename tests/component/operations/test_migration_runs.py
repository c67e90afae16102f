"""However a migration or a rollback ends, its run in the journal is closed and the region's topic is told."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed, told_plainly
from regionshift.errors import Refused
from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal, RunJournal
from regionshift.operations.environment import Environment, Outputs
from regionshift.operations.migrations.carrying import Carrying
from regionshift.operations.migrations.running import MigrationNotifier, closed_early
from regionshift.settings.config import MigrationConfig

pytestmark = pytest.mark.component

REGION = "eu-west-1"
CONFIG = MigrationConfig.model_validate(
    {
        "project": "shop",
        "environment": "dev",
        "account": "123456789012",
        "regions": {"primary": "us-east-1", "secondaries": [REGION]},
        "network": {"vpc_cidr": "10.0.0.0/8"},
    }
)
THROTTLED = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "PutParameter")


@dataclass
class Desk:
    """A journal, and a topic with a queue that hears it."""

    journal: Journal
    carrying: Carrying
    hear: Any

    def begin(self) -> tuple[RunJournal, MigrationNotifier]:
        run = self.journal.start("rollback", {})
        return run, MigrationNotifier(self.carrying, run, REGION, "rollback", "m")

    def told(self) -> list[str]:
        """The status of each message since the last time."""
        return [json.loads(json.loads(one)["Message"])["status"] for one in self.hear()]


@pytest.fixture
def desk(clients: Clients, tmp_path: Path) -> Iterator[Desk]:
    name = f"runs-{uuid.uuid4().hex[:8]}"
    sns, sqs = clients.get("sns", REGION), clients.get("sqs", REGION)
    topic = sns.create_topic(Name=name)["TopicArn"]
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**allow, "Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    nothing = cast(Any, None)
    environment = Environment(
        config=CONFIG,
        clients=clients,
        engine=nothing,
        program=nothing,
        release=nothing,
        state_dir=tmp_path,
        now=lambda: datetime.now(UTC),
    )
    outputs = Outputs({"deployment_topic_arn_eu_west_1": topic})
    (tmp_path / "state").mkdir()

    def hear() -> list[str]:
        found = []
        while batch := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for one in batch:
                found.append(one["Body"])
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
        return found

    journal = Journal(open_state((tmp_path / "state").as_uri()), "shop.dev", lambda: datetime.now(UTC))
    yield Desk(journal, Carrying(environment, outputs, nothing, environment.now, nothing), hear)


@pytest.mark.parametrize(
    ("error", "shown", "outcome"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt, "interrupted"),
        (THROTTLED, AwsFailed, "failed"),
        (EndpointConnectionError(endpoint_url="https://nowhere"), AwsFailed, "failed"),
        (Refused("no"), Refused, "failed"),
        (ZeroDivisionError("a defect"), ZeroDivisionError, "failed"),
    ],
    ids=["Ctrl-C", "AWS refused", "AWS not reached", "refused", "a defect"],
)
def test_the_run_is_closed_and_the_end_told(
    error: BaseException, shown: type[BaseException], outcome: str, desk: Desk
) -> None:
    run, news = desk.begin()
    with pytest.raises(shown), closed_early(run, "undo", news), told_plainly(REGION):
        news.started()
        raise error
    assert desk.journal.unfinished() == []
    assert run.view().outcome == outcome
    assert desk.told() == ["started", "error"]


def test_what_the_state_machine_has_is_told_by_it_unless_it_is_interrupted(desk: Desk) -> None:
    run, news = desk.begin()
    with pytest.raises(AwsFailed), closed_early(run, "undo", news), told_plainly(REGION):
        news.started()
        news.handed_over()
        raise THROTTLED
    assert desk.told() == ["started"]
    run, news = desk.begin()
    with pytest.raises(KeyboardInterrupt), closed_early(run, "undo", news):
        news.started()
        news.handed_over()
        raise KeyboardInterrupt
    assert desk.told() == ["started", "error"]


def test_what_was_never_started_is_not_told(desk: Desk) -> None:
    run, news = desk.begin()
    with pytest.raises(Refused), closed_early(run, "plan", news):
        raise Refused("another has the target")
    assert desk.told() == []
    assert run.view().outcome == "failed"


def test_a_failure_while_closing_does_not_hide_the_first(desk: Desk) -> None:
    def stop() -> None:
        raise AwsFailed("the stop could not be written", code="x", where=None, remedy=None)

    run, news = desk.begin()
    with pytest.raises(KeyboardInterrupt) as first, closed_early(run, "copy", news, stop):
        raise KeyboardInterrupt
    assert "the stop could not be written" in str(first.value.__notes__)
    assert run.view().outcome == "interrupted"
