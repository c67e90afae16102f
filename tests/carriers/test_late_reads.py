"""A migration and its way back where what was just written is told as it was before, for some seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from carrier_world import LABS, TARGET, World

from regionshift.carriers.carrier import Level
from regionshift.carriers.executions import Executions
from regionshift.carriers.kinds import CarrierAccess, all_carriers
from regionshift.carriers.migration import Migrations
from regionshift.waiting import AT_ONCE, Waiter

LATE = 7.0  # seconds after a write in which reads are as before it


@dataclass
class Clock:
    """Stands still but for waits, so that whoever does not wait never sees what was written."""

    at: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.at += seconds

    @property
    def waiter(self) -> Waiter:
        return Waiter(60.0, lambda: self.at, self.sleep)


def _missing(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, operation)


@dataclass
class Late:
    """A client of the target. ``_seen``: {name: what was there before the last writes, and until when that is told}."""

    inner: Any
    clock: Clock
    _seen: dict[str, tuple[Any, float]] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.inner, name)
        if name.startswith(("create_", "put_", "update_", "tag_", "untag_")):
            return lambda **given: self._write(call, given)
        return call

    def _write(self, call: Any, given: dict[str, Any]) -> Any:
        name = given.get("SecretId") or given["Name"]
        if "SecretId" in given and self._told(name, True) is None:
            raise _missing("ResourceNotFoundException", "PutSecretValue")
        before = self._told(name, self._now(name))
        self._seen[name] = before, self.clock.at + LATE
        return call(**given)

    def _now(self, name: str) -> Any:
        try:
            if hasattr(self.inner, "describe_secret"):
                return self.inner.describe_secret(SecretId=name)
        except ClientError:
            return None
        filters = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
        pages = self.inner.get_paginator("describe_parameters").paginate(ParameterFilters=filters)
        return next((each for page in pages for each in page["Parameters"]), None)

    def _told(self, name: str, now: Any) -> Any:
        before, until = self._seen.get(name, (None, 0.0))
        return before if self.clock.at < until else now

    def describe_secret(self, SecretId: str) -> Any:  # noqa: N803 - as boto3 has it
        found = self._told(SecretId, self._now(SecretId))
        if found is None:
            raise _missing("ResourceNotFoundException", "DescribeSecret")
        return found

    def describe_parameters(self, **given: Any) -> Any:
        answer = self.inner.describe_parameters(**given)
        told = [(each, self._told(each["Name"], each)) for each in answer["Parameters"]]
        return {**answer, "Parameters": [now for _, now in told if now is not None]}

    def get_parameter(self, **given: Any) -> Any:
        name, _, number = given["Name"].partition(":")
        found = self._told(name, {"Version": number})
        if found is None or int(found["Version"]) < int(number):
            raise _missing("ParameterVersionNotFound", "GetParameter")
        return self.inner.get_parameter(**given)

    def list_tags_for_resource(self, **given: Any) -> Any:
        if self._told(given["ResourceId"], True) is None:
            raise _missing("InvalidResourceId", "ListTagsForResource")
        return self.inner.list_tags_for_resource(**given)


class Forgets:
    """A state machine's client: starts what it is asked for, and tells of none."""

    def start_execution(self, **_: str) -> None:
        return

    def describe_execution(self, **_: str) -> None:
        raise _missing("ExecutionDoesNotExist", "DescribeExecution")


@pytest.fixture
def clock() -> Clock:
    return Clock()


def through(world: World, waiter: Waiter, wrapped: Callable[[Any], Any]) -> Migrations:
    """Migrations whose clients of the target's parameters and secrets are ``wrapped``."""
    services = ("secretsmanager", "ssm")
    of_target = {service: wrapped(world.clients.named(service, TARGET)) for service in services}

    def client(service: str, region: str) -> Any:
        named = world.clients.named
        return of_target[service] if region == TARGET and service in services else named(service, region)

    carriers = all_carriers(CarrierAccess(world.transport, client, waiter=waiter))
    return replace(world.migrations, carriers=carriers)


@pytest.fixture
def late(world: World, clock: Clock) -> Migrations:
    return through(world, clock.waiter, partial(Late, clock=clock))


@pytest.mark.parametrize("kind", ["ssm", "secrets"])
def test_what_is_told_late_is_carried_proven_and_taken_back_all_the_same(
    world: World, late: Migrations, clock: Clock, kind: str
) -> None:
    lab = LABS[kind](world)
    for name in ("new", "there"):
        lab.write("source", name, f"carried-{name}")
    lab.write("target", "there", "earlier")
    before = lab.look("target")

    done = late.of("m").migrate([lab.entry], Level.FULL)

    assert (done["status"], done["counts"]) == ("completed", {"written": 2, "proven": 2}), done
    assert lab.look("target") == lab.look("source")
    assert clock.at < 60, "nobody waits to the end for what is told in time"

    back = late.of("m").rollback()

    assert not back.get("conflicts"), back
    assert lab.look("target") == before


@pytest.mark.parametrize("name", ["new", "there"])
@pytest.mark.parametrize("kind", ["ssm", "secrets"])
def test_who_runs_out_of_time_waits_no_more_and_the_next_call_goes_on(
    world: World, late: Migrations, clock: Clock, kind: str, name: str
) -> None:
    lab = LABS[kind](world)
    lab.write("source", name, "carried")
    lab.write("target", "there", "earlier")
    before = lab.look("target")
    migration = late.of("m")
    migration.begin([lab.entry], Level.FULL)

    calls = [migration.run_batch(0, lambda: clock.at < 1)]
    assert clock.at < LATE, "the call waited beyond its time"
    while calls[-1].more and len(calls) < 9:
        until = clock.at + 3 * len(calls)
        calls.append(migration.run_batch(0, lambda until=until: clock.at < until))

    assert len(calls) > 1
    assert not any("failed" in call.counts for call in calls), calls
    assert calls[-1].counts["proven"] == 1
    assert lab.look("target")[name] == lab.look("source")[name]
    assert not migration.rollback()["conflicts"]
    assert lab.look("target") == before


def test_a_secret_that_never_shows_its_version_is_left_for_the_next_call(world: World, clock: Clock) -> None:
    lab = LABS["secrets"](world)
    lab.write("source", "there", "carried")
    lab.write("target", "there", "earlier")
    migration = through(world, AT_ONCE, partial(Late, clock=clock)).of("m")
    migration.begin([lab.entry], Level.FULL)
    assert migration.run_batch(0).more
    clock.sleep(LATE)
    assert not migration.run_batch(0).more
    assert lab.look("target") == lab.look("source")


def test_a_secret_that_others_wrote_over_twice_is_named_and_not_waited_for_again_and_again(
    world: World, clock: Clock
) -> None:
    lab = LABS["secrets"](world)
    lab.write("source", "there", "carried")
    lab.write("target", "there", "earlier")

    class Overtaken:
        """A client of the target; whatever it writes, others write two versions on top at once."""

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def put_secret_value(self, **given: Any) -> None:
            self.inner.put_secret_value(**given)
            for theirs in ("first", "second"):
                self.inner.put_secret_value(SecretId=given["SecretId"], SecretString=theirs)

    migration = through(world, clock.waiter, Overtaken).of("m")
    migration.begin([lab.entry], Level.FULL)
    assert not migration.run_batch(0).more


def test_what_another_release_recorded_and_never_started_is_not_waited_for(
    world: World, clock: Clock
) -> None:
    machine: Any = Forgets()
    records = world.records("m")
    recorded = {"step": "copy", "given": {"step": "copy", "migration_id": "m", "keys": ["a"]}}
    records.store.put_json(f"{records.executions}00000001", recorded)
    executions = Executions(records, machine, "arn:aws:states:r:a:stateMachine:m", clock.waiter)
    assert executions.start("copy").arn.endswith("-copy-2")
    assert clock.at == 0


def test_an_execution_that_is_described_late_is_not_started_twice(world: World, clock: Clock) -> None:
    started: list[str] = []

    class Machine:
        """Has one execution that somebody else started, and tells of it late."""

        def start_execution(self, **given: str) -> None:
            if not started:
                started.append(given["input"])
                return
            raise _missing("ExecutionAlreadyExists", "StartExecution")

        def describe_execution(self, **_: str) -> dict[str, str]:
            if clock.at < LATE:
                raise _missing("ExecutionDoesNotExist", "DescribeExecution")
            return {"status": "RUNNING", "input": started[0]}

    machine: Any = Machine()
    executions = Executions(world.records("m"), machine, "arn:aws:states:r:a:stateMachine:m", clock.waiter)
    assert executions.start("copy").arn == executions.start("copy").arn
    assert [each.step for each in executions.running()] == ["copy"]


def test_executions_that_aws_has_forgotten_share_one_wait(world: World, clock: Clock) -> None:
    machine: Any = Forgets()
    executions = Executions(world.records("m"), machine, "arn:aws:states:r:a:stateMachine:m", clock.waiter)
    for step in ("copy", "undo", "copy"):
        executions.start(step)
    assert executions.running() == []
    assert clock.at <= 60
