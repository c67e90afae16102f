"""The steps that the state machine calls, in its order, and what is told of their ends."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from carrier_world import TARGET, S3Lab, World

from regionshift.carriers.carrier import Level
from regionshift.carriers.lines import entry_line
from regionshift.carriers.plan import BeingPlanned
from regionshift.carriers.records import Layout
from regionshift.function import migration_worker
from regionshift.function.migration_worker import Worker


class Heard:
    """What was told."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, str, str, dict[str, int]]] = []
        self.why: list[str] = []

    def __call__(
        self, event: str, migration_id: str, status: str, counts: Mapping[str, int], why: str = ""
    ) -> None:
        self.ends.append((event, migration_id, status, dict(counts)))
        self.why.append(why)


@pytest.fixture
def lab(world: World) -> S3Lab:
    lab = S3Lab(world)
    for name in ("a", "b"):
        lab.write("source", name, name)
    return lab


def run(worker: Worker, step: str, **fields: Any) -> dict[str, Any]:
    return worker.run(step, {"migration_id": "m", **fields}, lambda: True)


def test_a_migration_and_its_rollback_tell_their_ends(world: World, lab: S3Lab) -> None:
    heard = Heard()
    worker = Worker(replace(world.migrations, call_seconds=lambda: 60.0), heard, lambda: 5)
    entries = [entry_line(lab.entry)]

    assert run(worker, "plan", entries=entries, level="full") == {
        "status": "planned",
        "batches": 1,
        "workers": 5,
        "more": False,
    }
    assert run(worker, "copy", batch=0)["counts"]["proven"] == 2
    assert run(worker, "finish")["status"] == "completed"
    assert run(worker, "undo", reason="trial") == {
        "status": "completed",
        "counts": {"undone": 2},
        "more": False,
    }

    assert heard.ends == [
        ("migrate", "m", "completed", {"written": 2, "proven": 2}),
        ("rollback", "m", "completed", {"undone": 2}),
    ]
    assert lab.look("target") == {}


def test_what_was_stopped_has_no_end_and_what_is_unproven_no_success(world: World, lab: S3Lab) -> None:
    heard = Heard()
    worker = Worker(world.migrations, heard)
    run(worker, "plan", entries=[entry_line(lab.entry)], level="pinned")
    world.migrations.of("m").stop()

    assert run(worker, "finish")["status"] == "stopped"
    assert heard.ends == []
    run(worker, "plan", entries=[entry_line(lab.entry)], level="pinned")
    assert run(worker, "finish")["status"] == "incomplete"  # no batch ever ran
    assert [end[2] for end in heard.ends] == ["incomplete"]


def test_a_plan_that_is_refused_is_told_and_writes_nothing(world: World, lab: S3Lab) -> None:
    heard = Heard()
    worker = Worker(world.migrations, heard)
    entry = entry_line(replace(lab.entry, include=("a", "missing")))

    answer = run(worker, "plan", entries=[entry], level="full", keys=["in/a", "in/missing"])

    assert (answer["status"], answer["batches"]) == ("refused", 0)
    assert "in/missing" in answer["error"]
    assert "in/a" not in answer["error"]
    assert heard.ends == [("migrate", "m", "refused", {})]
    assert "in/missing" in heard.why[0]
    assert world.versions(lab.target) == []
    assert run(worker, "plan", entries=[entry], level="full", keys=["in/a"])["status"] == "planned"


def test_what_is_asked_for_on_record_is_planned(world: World, lab: S3Lab) -> None:
    heard = Heard()
    worker = Worker(world.migrations, heard)
    entry = replace(lab.entry, include=("a", "missing"))
    migration = world.migrations.of("m")

    missing = run(worker, "plan", asked=migration.ask([entry], Level.FULL, ["in/a", "in/missing"]))
    assert missing["status"] == "refused" and "in/missing" in missing["error"]
    assert run(worker, "plan", asked=migration.ask([entry], Level.FULL, ["in/a"])) == {
        "status": "planned",
        "batches": 1,
        "workers": 1,
        "more": False,
    }
    assert run(worker, "copy", batch=0)["counts"] == {"written": 1, "proven": 1, "bytes": 1}


def test_a_record_of_what_is_asked_for_that_somebody_else_wrote_is_refused(world: World, lab: S3Lab) -> None:
    worker = Worker(world.migrations, Heard())
    asked = world.migrations.of("m").ask([lab.entry], Level.FULL)
    name = Layout("m").asked(asked)
    body = world.store.get(name)
    assert body is not None
    world.clients.get("s3", TARGET).put_object(Bucket=world.store.bucket, Key=name, Body=body)
    refused = run(worker, "plan", asked=asked)
    assert refused["status"] == "refused" and "not sealed" in refused["error"]


def test_another_migration_under_a_known_id_is_refused(world: World, lab: S3Lab) -> None:
    heard = Heard()
    worker = Worker(world.migrations, heard)
    assert run(worker, "plan", entries=[entry_line(lab.entry)], level="full")["status"] == "planned"
    other = entry_line(replace(lab.entry, include=("a",)))
    assert run(worker, "plan", entries=[other], level="full")["status"] == "refused"
    assert run(worker, "plan", entries=[entry_line(lab.entry)], level="full")["status"] == "planned"


def test_what_is_completed_is_not_copied_again_but_told(world: World, lab: S3Lab) -> None:
    def room() -> int:
        raise AssertionError("nobody copies, so nobody needs room")

    worker = Worker(world.migrations, Heard(), room)
    world.migrations.of("m").migrate([lab.entry])
    assert run(worker, "plan", entries=[entry_line(lab.entry)], level="full")["batches"] == 0
    assert run(worker, "finish")["status"] == "completed"


def test_a_rollback_that_leaves_something_or_is_refused_is_no_success(world: World, lab: S3Lab) -> None:
    heard = Heard()
    worker = Worker(world.migrations, heard)
    world.migrations.of("m").migrate([lab.entry])
    world.clients.get("s3", TARGET).put_object(Bucket=lab.target, Key="out/a", Body=b"somebody's")

    world.migrations.of("other").begin([lab.entry], Level.FULL)
    assert run(worker, "undo", reason="")["status"] == "refused"
    world.migrations.of("other").rollback()
    assert run(worker, "undo", reason="")["more"] is False

    assert heard.ends == [
        ("rollback", "m", "refused", {}),
        ("rollback", "m", "partly", {"undone": 1, "conflict": 1}),
    ]


def test_a_step_that_failed_for_good_is_told_of(world: World) -> None:
    heard = Heard()
    worker = Worker(world.migrations, heard)
    run(worker, "failed", what="copy", error="States.TaskFailed")
    run(worker, "failed", what="undo", error="States.Timeout")
    assert [end[:3] for end in heard.ends] == [("migrate", "m", "failed"), ("rollback", "m", "failed")]
    assert (
        "copy: States.TaskFailed; to continue: the same id; to undo: regionshift rollback m" in heard.why[0]
    )
    assert heard.why[1] == "undo: States.Timeout; to continue: regionshift rollback m"


def test_a_plan_that_another_call_makes_is_tried_again_and_not_told_as_refused(
    world: World, lab: S3Lab
) -> None:
    heard = Heard()
    migrations = replace(world.migrations, call_seconds=lambda: 1.0)
    until = {"until": "2999-01-01T00:00:00+00:00"}
    world.store.put_json(Layout("m").running("plan"), until)
    with pytest.raises(BeingPlanned):
        run(Worker(migrations, heard), "plan", entries=[entry_line(lab.entry)], level="full")
    assert heard.ends == []


def test_an_error_with_credentials_goes_to_the_state_machine_without_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = "FwoGZXIvYXdzEBYaDHRva2Vu"

    def refuse(text: str) -> None:
        def migrations(*_: str) -> None:
            raise ClientError({"Error": {"Code": "SignatureDoesNotMatch", "Message": text}}, "PutObject")

        monkeypatch.setattr(migration_worker, "_migrations", migrations)

    for name in ("REGION", "DEPLOYMENT_BUCKET", "RECORDS_KEY_ARN", "CARRY"):
        monkeypatch.setenv(name, "x")
    refuse(f"The Canonical String should have been 'PUT x-amz-security-token:{token} host'")
    with pytest.raises(Exception, match="SignatureDoesNotMatch") as told:
        migration_worker.handler({"migration_id": "m"}, None)
    assert type(told.value).__name__ == "ClientError", "what the execution tells as its error"
    assert "x-amz-security-token:[not shown]" in str(told.value)
    # All that Lambda's runtime takes of it, and what a log of it with its causes would have.
    assert token not in "".join(traceback.format_exception_only(told.value))
    assert told.value.__suppress_context__
    refuse("no")
    with pytest.raises(ClientError):
        migration_worker.handler({"migration_id": "m"}, None)
