"""However often and by whomever it is started, one execution runs at a time."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from carrier_world import TARGET, World

from regionshift.carriers.executions import Executions
from regionshift.carriers.records import Layout
from regionshift.errors import InputError
from regionshift.settings.quotas import EXECUTION_DATA


@pytest.fixture
def machine(world: World) -> str:
    """Waits a minute."""
    states = {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = world.clients.get("iam", TARGET).create_role(
        RoleName=f"machine-{world.run}",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    arn: str = world.clients.get("stepfunctions", TARGET).create_state_machine(
        name=f"machine-{uuid.uuid4().hex[:8]}",
        definition=json.dumps({"StartAt": "Wait", "States": states}),
        roleArn=role,
    )["stateMachineArn"]
    return arn


def executions(world: World, machine: str, migration_id: str = "m") -> Executions:
    client = world.clients.get("stepfunctions", TARGET)
    return Executions(world.records(migration_id), client, machine)


def started(world: World, machine: str) -> list[str]:
    listed = world.clients.get("stepfunctions", TARGET).list_executions(stateMachineArn=machine)
    return [one["executionArn"] for one in listed["executions"]]


def test_who_starts_what_runs_joins_it(world: World, machine: str) -> None:
    of_m = executions(world, machine)
    with ThreadPoolExecutor(4) as pool:
        found = {one.arn for one in pool.map(lambda _: of_m.start("copy"), range(4))}
    assert sorted(found) == started(world, machine)
    assert [one.arn for one in of_m.running()] == started(world, machine)


def test_what_was_recorded_and_never_started_is_started_once(world: World, machine: str) -> None:
    of_m = executions(world, machine)
    first = of_m.start("copy")
    world.clients.get("stepfunctions", TARGET).stop_execution(executionArn=first.arn)
    # As a command leaves it that was killed between the record and the start.
    name = Layout("m").executions + "00000001"
    given = {**first.given, "reason": "then"}
    world.store.put_json(name, {"step": "copy", "given": given})

    found = of_m.start("copy", reason="later")

    assert found.given == given
    assert found.arn != first.arn
    assert len(started(world, machine)) == 2
    assert [one.arn for one in of_m.running()] == [found.arn]


def test_another_step_and_another_id_are_executions_of_their_own(world: World, machine: str) -> None:
    copying = executions(world, machine).start("copy")
    undoing = executions(world, machine).start("undo")
    # Only the digest tells these names apart.
    others = [executions(world, machine, name).start("copy") for name in ("m.", "m-", "x" * 60, "x" * 61)]
    found = [copying, undoing, *others]
    assert len({one.arn for one in found}) == len(found)
    assert [one.arn for one in executions(world, machine).running()] == [copying.arn, undoing.arn]


def test_one_that_ended_is_followed_by_the_next(world: World, machine: str) -> None:
    of_m = executions(world, machine)
    first = of_m.start("copy")
    world.clients.get("stepfunctions", TARGET).stop_execution(executionArn=first.arn)
    assert of_m.running() == []
    second = of_m.start("copy")
    assert second.arn != first.arn
    assert [one.arn for one in of_m.running()] == [second.arn]


def test_what_another_release_recorded_is_joined_while_it_runs_and_never_started(
    world: World, machine: str
) -> None:
    of_m, client = executions(world, machine), world.clients.get("stepfunctions", TARGET)
    recorded = {"step": "plan", "migration_id": "m", "entries": [{"kind": "s3"}], "keys": ["a"]}
    world.store.put_json(Layout("m").executions + "00000001", {"step": "plan", "given": recorded})

    ours = of_m.start("plan", asked="digest")

    assert (ours.given["asked"], started(world, machine)) == ("digest", [ours.arn])
    client.stop_execution(executionArn=ours.arn)
    theirs = ours.arn.removesuffix(ours.arn.rpartition("-")[2]) + "3"
    world.store.put_json(Layout("m").executions + "00000003", {"step": "plan", "given": recorded})
    client.start_execution(
        stateMachineArn=machine, name=theirs.rpartition(":")[2], input=json.dumps(recorded)
    )
    joined = of_m.start("plan", asked="digest")
    assert (joined.arn, joined.given) == (theirs, recorded)


def test_what_is_too_large_for_an_execution_is_refused_before_it_is_recorded(
    world: World, machine: str
) -> None:
    of_m = executions(world, machine)
    with pytest.raises(InputError, match="262,144"):
        of_m.start("undo", reason="é" * (EXECUTION_DATA.most // 6))
    assert list(world.store.names(Layout("m").executions)) == []
    assert started(world, machine) == []
    of_m.start("undo", reason="x" * (EXECUTION_DATA.most - 1000))
