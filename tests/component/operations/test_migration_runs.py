"""However a migration or a rollback ends, its run in the journal is closed and the region's topic is told."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from regionshift.aws.clients import Clients
from regionshift.aws.errors import AwsFailed, told_plainly
from regionshift.carriers.carrier import Level
from regionshift.errors import InputError, Refused
from regionshift.journal.backends import open_state
from regionshift.journal.events import RunView
from regionshift.journal.journal import Journal
from regionshift.operations.checks.replication import MeasuredRecovery
from regionshift.operations.environment import Environment
from regionshift.operations.migrations.carrying import Carrying
from regionshift.operations.migrations.migrate import MigrationRequest, MigrationRun
from regionshift.operations.migrations.taking_back import UndoRun, take_back
from regionshift.runs.driver import RunUnderWay, drive
from regionshift.runs.state import RunStep, SagaState
from regionshift.runs.topics import TopicNotifier
from regionshift.settings.components import DEPLOYMENT_TOPIC
from regionshift.settings.config import MigrationConfig

pytestmark = pytest.mark.component

REGION = "eu-west-1"


def config_of(project: str) -> MigrationConfig:
    return MigrationConfig.model_validate(
        {
            "project": project,
            "environment": "dev",
            "account": "123456789012",
            "regions": {"primary": "us-east-1", "secondaries": [REGION]},
            "network": {"vpc_cidr": "10.0.0.0/8"},
        }
    )


THROTTLED = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "PutParameter")


@dataclass
class Undo(UndoRun):
    """In place of taking back it does what a test says."""

    work: Callable[[Undo], object] = lambda _: None

    def do(self, step: RunStep, state: SagaState, *, doubt: bool) -> dict[str, Any]:
        del step, state, doubt
        with told_plainly(REGION):
            self.work(self)
        self.record = {"status": "completed", "conflicts": [], "counts": {}}
        return {}


@dataclass
class Desk:
    """A journal, and a topic with a queue that hears it."""

    journal: Journal
    carrying: Carrying
    hear: Any

    def take_back(self, work: Callable[[Undo], object]) -> RunView:
        """The run as it ended. Raises what ``work`` raises."""
        run = self.journal.start("rollback", {"migration_id": "m"})
        self.run_id = run.run_id
        kind = Undo(self.carrying, "m", REGION, "", work)
        drive(RunUnderWay(self.journal, run, kind, self.carrying.listeners))
        return self.journal.view(run.run_id)

    @property
    def outcome(self) -> str | None:
        return self.journal.view(self.run_id).outcome

    def told(self) -> list[str]:
        """The status of each message since the last time."""
        said = [json.loads(json.loads(one)["Message"]) for one in self.hear()]
        assert all((one["migration_id"], one["deployment_id"]) == ("m", None) for one in said)
        return [one["status"] for one in said]


def raising(error: BaseException) -> Callable[[Undo], object]:
    def work(_: Undo) -> None:
        raise error

    return work


@pytest.fixture
def desk(clients: Clients, tmp_path: Path) -> Iterator[Desk]:
    config = config_of(f"runs{uuid.uuid4().hex[:8]}")
    name = DEPLOYMENT_TOPIC.name(config.names, REGION)
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
        config=config,
        clients=clients,
        engine=nothing,
        program=nothing,
        release=nothing,
        state_dir=tmp_path,
        now=lambda: datetime.now(UTC),
    )
    (tmp_path / "state").mkdir()

    def hear() -> list[str]:
        found = []
        while batch := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for one in batch:
                found.append(one["Body"])
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
        return found

    journal = Journal(open_state((tmp_path / "state").as_uri()), "shop.dev", lambda: datetime.now(UTC))
    topics = TopicNotifier(clients, config, environment.now, pytest.fail)
    carrying = Carrying(environment, nothing, nothing, environment.now, nothing, [topics])
    yield Desk(journal, carrying, hear)


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
    with pytest.raises(shown):
        desk.take_back(raising(error))
    assert desk.journal.unfinished() == []
    assert desk.outcome == outcome
    assert desk.told() == ["started", "error"]


@pytest.mark.parametrize(
    ("error", "told"), [(THROTTLED, ["started"]), (KeyboardInterrupt(), ["started", "error"])], ids=str
)
def test_what_the_state_machine_has_is_told_by_it_unless_it_is_interrupted(
    error: BaseException, told: list[str], desk: Desk
) -> None:
    def work(run: Undo) -> None:
        run.handed_over = True
        raise error

    with pytest.raises((AwsFailed, KeyboardInterrupt)):
        desk.take_back(work)
    assert desk.told() == told


@pytest.fixture
def migrating(desk: Desk) -> Callable[[Any], MigrationRun]:
    def begin(migration: Any) -> MigrationRun:
        carrying = SimpleNamespace(
            environment=desk.carrying.environment,
            migration=lambda *_: migration,
            running=lambda _: (),
            listeners=desk.carrying.listeners,
        )
        wanted = MigrationRequest("us-east-1", REGION, Level.FULL, "m", ())
        measured = MeasuredRecovery(0.0, 900.0)
        run = desk.journal.start("migration", {"migration_id": "m"})
        desk.run_id = run.run_id
        kind = MigrationRun(cast(Any, carrying), "m", REGION, wanted, lambda: 0.0, lambda: measured)
        drive(RunUnderWay(desk.journal, run, kind, desk.carrying.listeners))
        return kind

    return begin


def _planned(status: str, **more: object) -> dict[str, Any]:
    return {"status": status, "plan": {"new": 1}, "batches": 0, "counts": {}, "bytes": 0, **more}


def test_what_was_never_started_is_not_told(migrating: Any, desk: Desk) -> None:
    def begin(*_: object, **__: object) -> None:
        raise Refused("another has the target")

    with pytest.raises(Refused):
        migrating(SimpleNamespace(known=lambda _: None, begin=begin))
    assert desk.told() == []
    assert desk.outcome == "failed"


def test_nothing_to_do_is_no_news_and_what_ends_here_is_told_here(migrating: Any, desk: Desk) -> None:
    done = _planned("completed")
    kind = migrating(SimpleNamespace(known=lambda _: None, begin=lambda *_, **__: done))
    assert (kind.report.completed, desk.outcome, desk.told()) == (True, "completed", [])
    steps = {event.step for event in desk.journal.events(desk.run_id)}
    assert steps == {"run", "plan"}

    left = SimpleNamespace(
        known=lambda _: None,
        begin=lambda *_, **__: _planned("copying"),
        finish=lambda: _planned("incomplete"),
    )
    assert migrating(left).report.metadata["status"] == "incomplete"
    assert (desk.outcome, desk.told()) == ("incomplete", ["started", "error"])


def test_a_failure_while_stopping_does_not_hide_the_interruption(migrating: Any, desk: Desk) -> None:
    def stop() -> None:
        raise AwsFailed("the stop could not be written", code="x", where=None, remedy=None)

    def begin(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as first:
        migrating(SimpleNamespace(known=lambda _: None, begin=begin, stop=stop))
    assert "the stop could not be written" in str(first.value.__notes__)
    assert desk.outcome == "interrupted"


def test_a_reason_that_no_execution_takes_is_refused_before_a_run_is_opened(desk: Desk) -> None:
    with pytest.raises(InputError, match="1,026 bytes") as refused:
        take_back(desk.carrying, desk.journal, "m", "é" * 513, clock=lambda: 0.0)
    assert refused.value.where == "--reason"
    assert desk.journal.history() == []
