"""Parameters and secrets of which AWS says that it is called too often, or whose answers never come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from carrier_world import LABS, TARGET, Lab, SecretsLab, SsmLab, World

from regionshift.carriers import named_values
from regionshift.carriers.carrier import Level
from regionshift.carriers.kinds import all_carriers
from regionshift.carriers.lines import from_bytes
from regionshift.carriers.migration import Migrations
from regionshift.carriers.records import Layout
from regionshift.function.clients import carrier_access
from regionshift.waiting import AT_ONCE

SERVICES = {"ssm": "ssm", "secrets": "secretsmanager"}


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr(named_values.time, "sleep", waits.append)
    return waits


@pytest.fixture(params=sorted(SERVICES))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def lab(world: World, kind: str) -> Lab:
    lab = LABS[kind](world)
    for name in ("a", "b", "k"):
        lab.write("source", name, f"new {name}")
    lab.write("target", "a", "earlier")
    return lab


@contextmanager
def too_often(world: World, service: str, operation: str, times: int, after: int = 0) -> Iterator[list[int]]:
    """Calls of one operation at the target are too many, but the first ones."""
    left, good = [times], [after]

    def refuse(**_: Any) -> None:
        if good[0]:
            good[0] -= 1
        elif left[0]:
            left[0] -= 1
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, operation)

    events = world.clients.get(service, TARGET).meta.events  # type: ignore[call-overload]
    event = f"before-call.{service}.{operation}"
    events.register(event, refuse)
    try:
        yield left
    finally:
        events.unregister(event, refuse)


def states(world: World) -> dict[str, str]:
    return {line["key"]: line["state"] for line in from_bytes(world.store.get(Layout("m").results(0)) or b"")}


@pytest.mark.parametrize(
    ("kind", "operation", "after"),
    [
        ("ssm", "PutParameter", 1),
        ("ssm", "AddTagsToResource", 0),
        # The first question is what was there; without an answer to it the state machine asks again.
        ("ssm", "DescribeParameters", 1),
        ("ssm", "DescribeParameters", 2),
        ("ssm", "GetParameter", 0),
        ("secrets", "CreateSecret", 0),
        ("secrets", "PutSecretValue", 1),
        ("secrets", "UpdateSecretVersionStage", 0),
        ("secrets", "TagResource", 0),
        ("secrets", "GetSecretValue", 1),
    ],
    indirect=["kind"],
)
def test_what_is_refused_for_too_long_goes_on_with_the_next_call(
    world: World, lab: Lab, kind: str, operation: str, after: int
) -> None:
    before = lab.look("target")
    world.migrations.of("m").begin([lab.entry], Level.FULL)
    with too_often(world, SERVICES[kind], operation, named_values._ATTEMPTS, after) as left:
        first = world.migrations.of("m").run_batch(0)
        assert left == [0]

    assert first.more
    assert "failed" not in states(world).values()
    assert not world.migrations.of("m").run_batch(0).more
    done = world.migrations.of("m").finish()
    assert (done["status"], done["counts"]["proven"]) == ("completed", 3), done["problems"]
    if isinstance(lab, SsmLab):
        assert [version(lab, name) for name in ("a", "b", "k")] == [2, 1, 1]
    assert world.migrations.of("m").rollback()["conflicts"] == []
    assert lab.look("target") == before


@pytest.mark.parametrize(
    ("kind", "operation"), [("ssm", "DescribeParameters"), ("secrets", "DescribeSecret")], indirect=["kind"]
)
def test_what_cannot_be_looked_for_is_looked_for_by_the_next_call(
    world: World, lab: Lab, kind: str, operation: str
) -> None:
    world.migrations.of("m").begin([lab.entry], Level.FULL)
    world.migrations.of("m").run_batch(0)
    world.store.delete(Layout("m").results(0))
    first_questions = 1 if kind == "ssm" else 3

    with too_often(world, SERVICES[kind], operation, named_values._ATTEMPTS, first_questions):
        assert world.migrations.of("m").run_batch(0).more

    assert world.migrations.of("m").run_batch(0).counts["proven"] == 3
    with too_often(world, SERVICES[kind], operation, named_values._ATTEMPTS):
        world.store.delete(Layout("m").results(0))
        assert world.migrations.of("m").rollback()["status"] == "incomplete"
    assert world.migrations.of("m").rollback()["counts"] == {"undone": 3}


@pytest.mark.parametrize(
    ("kind", "operation"),
    [
        ("ssm", "PutParameter"),
        ("ssm", "DeleteParameter"),
        ("ssm", "DescribeParameters"),
        ("secrets", "DescribeSecret"),
        ("secrets", "DeleteSecret"),
        ("secrets", "UpdateSecretVersionStage"),
    ],
    indirect=["kind"],
)
def test_a_rollback_that_is_refused_for_too_long_goes_on_with_the_next_call(
    world: World, lab: Lab, kind: str, operation: str
) -> None:
    before = lab.look("target")
    world.migrations.of("m").migrate([lab.entry])

    with too_often(world, SERVICES[kind], operation, named_values._ATTEMPTS):
        first = world.migrations.of("m").rollback()

    assert (first["status"], first["conflicts"]) == ("incomplete", [])
    again = world.migrations.of("m").rollback()
    assert (again["status"], again["counts"]) == ("completed", {"undone": 3})
    assert lab.look("target") == before


def test_nobody_waits_as_long_as_the_others(waits: list[float]) -> None:
    def refuse() -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "PutParameter")

    rounds = []
    for _ in range(4):
        waits.clear()
        with pytest.raises(named_values.ThrottledError):
            named_values.call(refuse)
        rounds.append(tuple(waits))
        assert all(0.1 * 2**n <= wait <= 0.2 * 2**n for n, wait in enumerate(waits))
    assert len(set(rounds)) == len(rounds)


@pytest.fixture
def parameters(world: World) -> SsmLab:
    lab = SsmLab(world)
    for name in ("a", "k"):
        lab.write("source", name, f"new {name}")
    lab.write("target", "a", "earlier")
    return lab


class Worker:
    """Carriers as the worker has them; answers to operations of Systems Manager and Secrets Manager can be lost."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._session = boto3.Session(world.cloud.access_key, world.cloud.secret_key)
        self._lost: dict[str, int] = {}
        self._at_first: frozenset[str] = frozenset()
        self._sent: set[bytes] = set()
        self.before_sending: Callable[[], object] = lambda: None

    def migrations(self) -> Migrations:
        carriers = all_carriers(carrier_access(self._world.transport, self, AT_ONCE))
        return Migrations(self._world.store, carriers, self._world.bounds, lambda: datetime.now(UTC))

    def client(self, service: str, region_name: str, config: Any) -> Any:
        cloud = self._world.cloud
        client = self._session.client(
            service,  # type: ignore[call-overload]
            region_name=region_name,
            endpoint_url=cloud.endpoint,
            verify=str(cloud.ca_bundle),
            config=config,
        )
        for named in ("ssm", "secrets-manager"):
            client.meta.events.register(f"before-send.{named}", self._send)
        return client

    def lose(self, operation: str, times: int) -> None:
        self._lost[operation] = times

    def lose_each_at_first(self, *operations: str) -> None:
        """Of every call the first answer."""
        self._at_first = frozenset(operations)

    def _send(self, request: Any, **_: Any) -> None:
        operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        is_first = operation in self._at_first and request.body not in self._sent
        self._sent.add(request.body)
        if self._lost.get(operation, 0) or is_first:
            self._lost[operation] = max(self._lost.get(operation, 0) - 1, 0)
            self.before_sending()
            URLLib3Session(verify=str(self._world.cloud.ca_bundle)).send(request)
            raise ReadTimeoutError(endpoint_url=request.url)


@pytest.fixture
def worker(world: World) -> Worker:
    return Worker(world)


def version(lab: SsmLab, name: str) -> int:
    ssm = lab.world.clients.get("ssm", TARGET)
    return int(ssm.get_parameter(Name=lab.entry.target.prefix + name)["Parameter"]["Version"])


@pytest.mark.parametrize("times", [1, 2])
def test_a_version_whose_answer_was_lost_is_written_once(
    parameters: SsmLab, worker: Worker, times: int
) -> None:
    before = parameters.look("target")
    migrations = worker.migrations()
    worker.lose("PutParameter", times)

    done = migrations.of("m").migrate([parameters.entry])

    assert (done["status"], done["counts"]["proven"]) == ("completed", 2), done["problems"]
    assert [version(parameters, name) for name in ("a", "k")] == [2, 1]
    worker.lose("PutParameter", times)
    worker.lose("DeleteParameter", times)
    assert migrations.of("m").rollback()["conflicts"] == []
    assert parameters.look("target") == before
    assert version(parameters, "a") == 3


def test_secrets_of_which_every_first_answer_is_lost_are_carried_and_come_back(
    world: World, worker: Worker
) -> None:
    """Made, written over, labelled, tagged, and all of it taken back: what is sent again changes nothing more."""
    lab = SecretsLab(world)
    for name in ("a", "k"):
        lab.write("source", name, f"new {name}")
    lab.write("target", "a", "earlier")
    vault = world.clients.get("secretsmanager", TARGET)
    tag: Any = {"Key": "kept", "Value": "yes"}
    vault.tag_resource(SecretId=lab.entry.target.prefix + "a", Tags=[tag])
    before, wanted = lab.look("target"), lab.look("source")
    worker.lose_each_at_first(
        "CreateSecret",
        "DeleteSecret",
        "PutSecretValue",
        "TagResource",
        "UntagResource",
        "UpdateSecret",
        "UpdateSecretVersionStage",
    )
    migrations = worker.migrations()
    done = migrations.of("m").migrate([lab.entry])
    assert (done["status"], done["counts"]["proven"]) == ("completed", 2), done["problems"]
    assert {name: found[0] for name, found in lab.look("target").items()} == {
        name: found[0] for name, found in wanted.items()
    }
    assert migrations.of("m").rollback()["conflicts"] == []
    assert lab.look("target") == before


def test_a_write_that_arrived_twice_all_the_same_is_ours(parameters: SsmLab, worker: Worker) -> None:
    """A look that came before the first one landed found nothing, and it was sent again."""
    before, wanted = parameters.look("target"), parameters.look("source")["a"][0]
    migrations = worker.migrations()

    worker.before_sending = partial(parameters.write, "target", "a", wanted)
    worker.lose("PutParameter", 1)
    done = migrations.of("m").migrate([parameters.entry])

    assert (done["status"], version(parameters, "a")) == ("completed", 3), done["problems"]
    worker.before_sending = partial(parameters.write, "target", "a", before["a"][0])
    worker.lose("PutParameter", 1)
    assert migrations.of("m").rollback()["conflicts"] == []
    assert parameters.look("target") == before


def test_what_somebody_wrote_before_a_migration_goes_on_stays(parameters: SsmLab, world: World) -> None:
    world.migrations.of("m").begin([parameters.entry], Level.FULL)
    world.migrations.of("m").run_batch(0, lambda: False)
    parameters.write("target", "a", "somebody's")
    parameters.write("target", "k", "somebody's")
    there = parameters.look("target")

    done = world.migrations.of("m").migrate([parameters.entry])

    assert {(each["key"], each["reason"]) for each in done["problems"]} == {
        (name, "someone else wrote here while the migration ran") for name in ("a", "k")
    }
    assert parameters.look("target") == there
    world.migrations.of("m").rollback()
    assert parameters.look("target") == there


def test_what_was_deleted_before_a_migration_goes_on_is_not_made_again(
    parameters: SsmLab, world: World
) -> None:
    world.migrations.of("m").begin([parameters.entry], Level.FULL)
    world.migrations.of("m").run_batch(0, lambda: False)
    parameters.delete("target", "a")

    done = world.migrations.of("m").migrate([parameters.entry])

    assert [each["key"] for each in done["problems"]] == ["a"]
    assert set(parameters.look("target")) == {"k"}


def test_what_somebody_wrote_just_before_ours_is_told_and_kept_by_undo(
    parameters: SsmLab, worker: Worker
) -> None:
    """Ours is on top: AWS has no way to write only after a certain version."""
    migrations = worker.migrations()
    worker.before_sending = lambda: parameters.write("target", "a", "somebody's")
    worker.lose("PutParameter", 1)

    done = migrations.of("m").migrate([replace(parameters.entry, include=("a",))])

    assert [each["reason"] for each in done["problems"]] == [
        "someone else wrote here while the migration ran"
    ]
    there = parameters.look("target")
    assert [each["key"] for each in migrations.of("m").rollback()["conflicts"]] == ["a"]
    assert parameters.look("target") == there
