"""The function called directly, with the real state machine and worker behind it, and what goes wrong there."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from migration_place import ACCOUNT, SOURCE, TARGET, Place, migration_place
from topic_queue import news_of, subscribed

pytestmark = [pytest.mark.e2e, pytest.mark.thorough]

FUNCTION, WORKER = f"carrier-migration-{TARGET}-e2e", f"carrier-worker-{TARGET}-e2e"
RECORDS = f"carrier-deployment-{TARGET}-e2e-{ACCOUNT}"
OBJECTS = 300  # more than one batch, so that a killed one is not all there is


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with migration_place(tmp_path_factory.mktemp("machine")) as made:
        for number in range(OBJECTS):
            made.put(SOURCE, f"many/{number:03d}", b"m" * (1000 + number))
        yield made


@pytest.fixture(scope="module")
def queue(place: Place) -> str:
    return subscribed(place.clients, TARGET)


def call(place: Place, migration_id: str, prefix: str, **source: Any) -> dict[str, Any]:
    """Ask the function to migrate; gives its answer's body."""
    event = {
        "action": "migrate",
        "migration_id": migration_id,
        "source": {"region": SOURCE, "bucket": f"old-media-{SOURCE}", "prefix": prefix, **source},
        "target": {"bucket": f"old-media-{TARGET}", "prefix": prefix},
    }
    reply = place.clients.get("lambda", TARGET).invoke(
        FunctionName=FUNCTION, Payload=json.dumps(event).encode()
    )
    answer = json.loads(reply["Payload"].read())
    body: dict[str, Any] = json.loads(answer["body"])
    assert answer["statusCode"] == 202, body
    return body


def until(seen: Callable[[], Any], seconds: float = 120) -> Any:
    """What ``seen`` gives as soon as it gives something."""
    end = time.monotonic() + seconds
    while not (found := seen()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)
    return found


def ended(place: Place, execution: str) -> dict[str, Any]:
    """The execution, once it is at its end."""
    states: Any = place.clients.get("stepfunctions", TARGET)

    def look() -> Any:
        found = states.describe_execution(executionArn=execution)
        return found if found["status"] != "RUNNING" else None

    found: dict[str, Any] = until(look)
    return found


def tries(place: Place, execution: str) -> int:
    """How often a call of the worker has failed."""
    events = place.clients.get("stepfunctions", TARGET).get_execution_history(executionArn=execution)[
        "events"
    ]
    return sum(1 for event in events if event["type"].endswith(("TaskFailed", "LambdaFunctionFailed")))


def versions(place: Place, prefix: str) -> list[str]:
    """The keys of all versions at the target, each as often as it was written."""
    pages = place.clients.get("s3", TARGET).get_paginator("list_object_versions")
    return [
        one["Key"]
        for page in pages.paginate(Bucket=f"old-media-{TARGET}", Prefix=prefix)
        for one in page.get("Versions", [])
    ]


def told(place: Place, queue: str, event: str = "migrate") -> list[tuple[str, str]]:
    """What has come since the last time; what is told of other events is passed over."""
    return [(one["migration_id"], one["status"]) for one in news_of(place.clients, TARGET, queue, event)]


def test_a_worker_that_cannot_be_called_is_called_again_and_all_is_proven(place: Place, queue: str) -> None:
    functions = place.clients.get("lambda", TARGET)
    functions.put_function_concurrency(FunctionName=WORKER, ReservedConcurrentExecutions=0)
    try:
        execution = call(place, "direct", "docs/")["execution"]
        until(lambda: tries(place, execution))
    finally:
        functions.delete_function_concurrency(FunctionName=WORKER)
    assert ended(place, execution)["status"] == "SUCCEEDED"
    assert place.json("status", "direct")[1]["counts"] == {"written": 120, "proven": 120}
    assert told(place, queue) == [("direct", "started"), ("direct", "success")]
    assert place.json("rollback", "direct")[0] == 0
    assert told(place, queue, "rollback") == [("direct", "started"), ("direct", "success")]


def test_the_command_tells_its_start_and_the_end_comes_once(place: Place, queue: str) -> None:
    told(place, queue)
    assert place.migrate("--id", "by-hand", "--level", "pinned")[0] == 0
    assert told(place, queue) == [("by-hand", "started"), ("by-hand", "success")]
    place.put(TARGET, "docs/050", b"somebody's")
    assert place.json("rollback", "by-hand")[0] == 1
    assert told(place, queue, "rollback") == [("by-hand", "started"), ("by-hand", "error")]
    place.clients.get("s3", TARGET).delete_object(Bucket=f"old-media-{TARGET}", Key="docs/050")
    newest = place.clients.get("s3", TARGET).list_object_versions(
        Bucket=f"old-media-{TARGET}", Prefix="docs/050"
    )
    for one in [*newest.get("Versions", []), *newest.get("DeleteMarkers", [])]:
        place.clients.get("s3", TARGET).delete_object(
            Bucket=f"old-media-{TARGET}", Key="docs/050", VersionId=one["VersionId"]
        )


def test_a_worker_that_is_killed_while_it_copies_is_called_again_and_copies_nothing_twice(
    place: Place,
) -> None:
    execution = call(place, "killed", "many/")["execution"]
    until(lambda: 0 < len(versions(place, "many/")) < OBJECTS)
    killed = kill_workers(place.emulator)
    assert killed, "no worker was there to be killed"
    let_their_time_pass(place, "killed")
    assert ended(place, execution)["status"] == "SUCCEEDED"
    code, status = place.json("status", "killed", "--verify")
    assert (code, status["counts"]["proven"], status["verified"]["proven"]) == (0, OBJECTS, OBJECTS)
    assert versions(place, "many/") == sorted({f"many/{number:03d}" for number in range(OBJECTS)})
    assert place.json("rollback", "killed")[0] == 0
    assert versions(place, "many/") == []


def test_keys_that_are_not_there_fail_the_execution_before_anything_is_written(
    place: Place, queue: str
) -> None:
    told(place, queue)
    keys = ["docs/001", "docs/not-there"]
    found = ended(place, call(place, "missing", "docs/", keys=keys)["execution"])
    assert (found["status"], found["error"]) == ("FAILED", "Refused")
    assert "docs/not-there" in found["cause"]
    assert told(place, queue) == [("missing", "started"), ("missing", "error")]
    assert versions(place, "docs/001") == []


def test_a_step_that_fails_for_good_is_told(place: Place, queue: str) -> None:
    told(place, queue)
    s3 = place.clients.get("s3", TARGET)
    was = s3.get_bucket_policy(Bucket=RECORDS)["Policy"]
    barred = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{RECORDS}/migrations/barred/plan/*",
    }
    document = json.loads(was)
    document["Statement"].append(barred)
    s3.put_bucket_policy(Bucket=RECORDS, Policy=json.dumps(document))
    try:
        found = ended(place, call(place, "barred", "docs/")["execution"])
    finally:
        s3.put_bucket_policy(Bucket=RECORDS, Policy=was)
    assert found["status"] == "FAILED"
    assert told(place, queue) == [("barred", "started"), ("barred", "error")]


def test_an_undo_that_fails_for_good_inside_a_migration_names_the_rollback(place: Place, queue: str) -> None:
    told(place, queue)
    told(place, queue, "rollback")
    s3 = place.clients.get("s3", TARGET)
    was = s3.get_bucket_policy(Bucket=RECORDS)["Policy"]
    barred = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"}
    media = {**barred, "Resource": f"arn:aws:s3:::old-media-{TARGET}/docs/011"}
    s3.put_bucket_policy(
        Bucket=f"old-media-{TARGET}", Policy=json.dumps({"Version": "2012-10-17", "Statement": [media]})
    )
    document = json.loads(was)
    document["Statement"].append({**barred, "Resource": f"arn:aws:s3:::{RECORDS}/rollbacks/stuck/results/*"})
    s3.put_bucket_policy(Bucket=RECORDS, Policy=json.dumps(document))
    try:
        found = ended(place, call(place, "stuck", "docs/")["execution"])
    finally:
        s3.put_bucket_policy(Bucket=RECORDS, Policy=was)
        s3.delete_bucket_policy(Bucket=f"old-media-{TARGET}")
    assert found["status"] == "FAILED"
    (news,) = [
        one
        for one in news_of(place.clients, TARGET, queue, "migrate", "rollback")
        if one["event"] == "rollback"
    ]
    assert news["status"] == "error"
    assert news["summary"].endswith("; to continue: regionshift rollback stuck.")
    assert place.json("rollback", "stuck")[0] == 0
    assert versions(place, "docs/011") == []


def let_their_time_pass(place: Place, migration_id: str) -> None:
    """What a killed call held it holds until its 15 minutes are over, and the next one waits: take it away.

    Records are sealed, so its end cannot be written into it here.
    """
    s3, folder = place.clients.get("s3", TARGET), f"migrations/{migration_id}/running/"
    for one in s3.list_objects_v2(Bucket=RECORDS, Prefix=folder).get("Contents", []):
        s3.delete_object(Bucket=RECORDS, Key=one["Key"])


def kill_workers(emulator: int) -> list[int]:
    """kill -9 the worker's processes of the target region; gives who they were."""
    killed = []
    for child in psutil.Process(emulator).children(recursive=True):
        try:
            told = Path(f"/proc/{child.pid}/environ").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it has ended meanwhile
        if f"REGION={TARGET}" in told and any(one.startswith("CONNECTIONS=") for one in told):
            os.kill(child.pid, signal.SIGKILL)
            killed.append(child.pid)
    return killed
