"""The command goes on with a migration only when what an earlier one left running is at its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from carrier_world import SOURCE, TARGET, S3Lab, World
from command_world import carrying_of, config_of, journal_in

from regionshift.carriers.carrier import Level
from regionshift.carriers.executions import WORKERS, Executions
from regionshift.carriers.records import Layout
from regionshift.errors import WorkFailed
from regionshift.function.migration_worker import Worker
from regionshift.operations.migrations.carrying import Carrying, no_forecast
from regionshift.operations.migrations.migrate import MigrationRequest, Report, migrate

WAITS = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}}
ENDS = {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}


@dataclass
class Left:
    """A migration whose first execution still runs; it ends when the command first waits."""

    world: World
    lab: S3Lab
    folder: Path
    meanwhile: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.states = self.world.clients.get("stepfunctions", TARGET)
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "states.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        role = self.world.clients.get("iam", TARGET).create_role(
            RoleName=f"machine-{self.world.run}",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )["Role"]["Arn"]
        self.machine = self.states.create_state_machine(
            name=f"machine-{self.world.run}", definition=json.dumps(WAITS), roleArn=role
        )["stateMachineArn"]
        self.world.migrations.of("m").begin([self.lab.entry], Level.FULL)
        executions = Executions(self.world.records("m"), self.states, self.machine)
        self.first = executions.start("copy").arn

    def carrying(self, before_it_ends: Callable[[], object]) -> Carrying:
        """What the command works with; ``before_it_ends`` is what the first execution does last."""
        topic = self.world.clients.get("sns", TARGET).create_topic(Name=f"going-on-{self.world.run}")
        outputs = {
            "deployment_topic_arn_eu_west_1": topic["TopicArn"],
            "deployment_bucket_name_eu_west_1": self.world.records_bucket,
            "state_machine_arn_eu_west_1": self.machine,
        }

        def wait(_: float) -> None:
            if not self.meanwhile:
                self.meanwhile.append(before_it_ends())
                self.states.update_state_machine(stateMachineArn=self.machine, definition=json.dumps(ENDS))
                self.states.stop_execution(executionArn=self.first)

        one = {
            "bucket": self.lab.source,
            "prefix": "in/",
            "target_bucket": self.lab.target,
            "target_prefix": "out/",
        }
        config = config_of("shop", carry={"s3": [one]})
        return carrying_of(self.world, config, outputs, self.folder, wait)

    def go_on(self, before_it_ends: Callable[[], object]) -> Report:
        """``migrate`` with the same id."""
        carrying = self.carrying(before_it_ends)
        journal = journal_in(self.folder)
        wanted = MigrationRequest(SOURCE, TARGET, Level.FULL, "m", (self.lab.entry,))
        return migrate(carrying, journal, wanted, clock=lambda: 0.0)


@pytest.fixture
def left(world: World, tmp_path: Path) -> Left:
    lab = S3Lab(world)
    for name in ("a", "b"):
        lab.write("source", name, name)
    return Left(world, lab, tmp_path)


def test_what_was_stopped_and_still_runs_ends_as_stopped_before_it_is_gone_on_with(left: Left) -> None:
    left.world.migrations.of("m").stop()
    worker = Worker(left.world.migrations, lambda *_: None)
    stopped = left.world.migrations.of("m").run_batch(0).stopped

    report = left.go_on(lambda: worker.run("finish", {"migration_id": "m"}, lambda: True)["status"])

    assert stopped
    assert left.meanwhile == ["stopped"]
    assert report.metadata["status"] == "copying"
    assert report.execution not in ("", left.first)
    assert not left.world.store.exists(Layout("m").stop)


@pytest.mark.parametrize(("unreserved", "workers"), [(1000, WORKERS["local"]), (3, 1)])
def test_the_copying_is_asked_for_as_many_workers_as_the_account_has_room_for(
    unreserved: int, workers: int, left: Left
) -> None:
    def say(parsed: dict[str, Any], **_: Any) -> None:
        parsed["AccountLimit"]["UnreservedConcurrentExecutions"] = unreserved

    events = left.world.clients.get("lambda", TARGET).meta.events
    events.register("after-call.lambda.GetAccountSettings", say)
    try:
        report = left.go_on(lambda: None)
    finally:
        events.unregister("after-call.lambda.GetAccountSettings", say)

    given = json.loads(left.states.describe_execution(executionArn=report.execution)["input"])
    assert (given["step"], given["workers"]) == ("copy", workers)


def test_what_still_runs_and_completes_is_not_begun_again(left: Left) -> None:
    def complete() -> str:
        left.world.migrations.of("m").run()
        return str(left.world.migrations.of("m").finish()["status"])

    report = left.go_on(complete)

    assert left.meanwhile == ["completed"]
    assert (report.completed, report.execution) == (True, "")


def test_what_still_runs_and_goes_back_is_told_as_taken_back(left: Left) -> None:
    before = left.world.versions(left.lab.target)
    left.world.migrations.of("m").run()

    report = left.go_on(lambda: left.world.migrations.of("m").rollback()["status"])

    assert report.metadata["status"] == "rolled_back"
    assert left.world.versions(left.lab.target) == before


@pytest.mark.parametrize(("undoing", "named"), [(True, "regionshift rollback m"), (False, "the same --id")])
def test_what_ended_badly_names_the_command_that_goes_on(undoing: bool, named: str, left: Left) -> None:
    def fail() -> None:
        if undoing:
            left.world.migrations.of("m").rollback("", lambda: False)

    with pytest.raises(WorkFailed) as failed:
        left.carrying(fail).wait(left.world.migrations.of("m"), left.first, no_forecast)

    assert named in str(failed.value.remedy)
