"""A migration as a person runs it: two regions, policies enforced, everything by the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from migration_place import ACCOUNT, SOURCE, STRANGE, TARGET, VALUE, Place, migration_place, records

from planted_values import Search
from regionshift.cli.app import app
from regionshift.cli.failure import run
from regionshift.local import emulator

pytestmark = pytest.mark.e2e
CARRY = ("migrate", "--from", SOURCE, "--to", TARGET)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with migration_place(tmp_path_factory.mktemp("migrate")) as made:
        yield made


@pytest.fixture
def refused(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, Any]]:
    """What a command answers that is refused, in this process: nothing is begun that could outlive it."""
    monkeypatch.chdir(place.folder)

    def refused(*arguments: str) -> tuple[int, Any]:
        code = run(app, [*arguments, "--json", "--yes"])
        return code, json.loads(capsys.readouterr().out)

    return refused


def told(place: Place) -> str:
    """All that was told outside of the data itself: executions, logs, records, and the state of the command."""
    steps, logs = place.clients.get("stepfunctions", TARGET), place.clients.get("logs", TARGET)
    found: list[Any] = [records(place)]
    for machine in steps.list_state_machines()["stateMachines"]:
        arns = [
            one["executionArn"]
            for one in steps.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]
        ]
        found += [steps.describe_execution(executionArn=arn) for arn in arns]
        found += [steps.get_execution_history(executionArn=arn)["events"] for arn in arns]
    for group in logs.describe_log_groups()["logGroups"]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
        found.append(list(pages.search("events[]")))
    cloud = place.folder / ".regionshift" / "cloud"  # the embedded AWS itself: what is carried lies there
    found += [
        file.read_text(encoding="utf-8", errors="replace")
        for file in place.folder.rglob("*")
        if file.is_file() and cloud not in file.parents
    ]
    return "\n".join(map(str, found))


def _require_unseen(text: str) -> None:
    """No carried value is in it, in no form."""
    search = Search()
    search.look("told", text)
    search.require_nothing("told")


def test_a_plan_changes_nothing(place: Place) -> None:
    was = place.target()
    code, plan = place.migrate("--plan-only")
    assert code == 0
    assert plan["counts"] == {"new": 124, "changed": 1, "same": 0, "conflict": 0}
    assert plan["estimate"]["requests"] > 0
    assert all(entry["undo_until"] for entry in plan["entries"])
    parameters = plan["entries"][1]
    assert (parameters["rewritten"], parameters["rewrites"]) == (
        1,
        [{"item": "/old/topic", "what": "arn ×1"}],
    )
    assert all("old/key rotates at the source (rate(9 days)" in note for note in plan["entries"][2]["notes"])
    shown = place.run("migrate", "--from", SOURCE, "--to", TARGET, "--plan-only")[1]
    assert "rewritten: /old/topic (arn ×1)" in shown
    assert "note: old/key rotates at the source (rate(9 days)" in shown
    _require_unseen(shown)
    assert place.target() == was
    assert "migration" not in records(place)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", SOURCE, "--to", SOURCE), "same region"),
        (("--from", "mars-1", "--to", TARGET), "mars-1"),
        (("--from", SOURCE, "--to", TARGET, "--level", "guess"), "guess"),
        (("--from", SOURCE, "--to", TARGET, "--id", "../up"), "../up"),
    ],
)
def test_wrong_input_is_refused(
    arguments: tuple[str, ...], words: str, refused: Callable[..., tuple[int, Any]]
) -> None:
    code, answer = refused("migrate", *arguments)
    assert code == 2
    assert words in answer["error"]["message"]


def _require_report_of_all_of_it(place: Place) -> None:
    """The report counts what was planned, copied, proven and taken back, and holds no value."""
    code, report = place.json("report", "whole")
    assert code == 0
    _require_unseen(json.dumps(report))
    (counted,) = report["migrations"]
    assert [counted[name] for name in ("planned", "copied", "proven", "taken_back")] == [125] * 4
    assert counted["throughput"][-1][1:] == [125, counted["bytes"]], "items and bytes at the last look"
    assert {"item": "undone", "reason": "trial"} in counted["reasons"]


def test_it_carries_proves_goes_on_and_takes_all_of_it_back(place: Place) -> None:
    was = place.target()
    code, out, said = place.run(*CARRY, "--id", "whole", "--json", "--yes", "-vv", "--log-file", "log")
    assert code == 0, said
    done = json.loads(out)
    assert (done["status"], done["level"]) == ("completed", "full")
    assert done["counts"] == {"written": 125, "proven": 125}
    assert done["recovery"]["replication_seconds"][TARGET] is not None
    assert done["recovery"]["seconds"] > 0
    now = place.target()
    assert now["objects"][STRANGE] == b"strange"
    assert now["objects"]["docs/007"] == b"x" * 7
    assert "left.tmp" not in now["objects"]
    assert now["parameters"] == {
        "/old/topic": f"arn:aws:sns:{TARGET}:{ACCOUNT}:orders",
        "/old/password": VALUE,
    }
    assert now["secrets"] == {"old/key": VALUE}
    everything = told(place)
    assert "'step': 'copy'" in everything or '"step": "copy"' in everything
    _require_unseen(everything)
    log = (place.folder / "log").read_text(encoding="ascii")  # it is part of everything
    cloud = emulator.status(place.folder / ".regionshift/cloud")
    assert cloud is not None
    _require_unseen(said)
    for secret in (cloud.secret_key, "x" * 50, "AWS4-HMAC", "X-Amz-Signature"):
        assert secret not in log
        assert secret not in said
    lines = [json.loads(line) for line in log.splitlines()]
    calls = [line for line in lines if line["event"] == "call"]
    assert {line["service"] for line in calls} >= {"s3", "ssm", "secretsmanager", "sts"}
    [run_id] = {line["run"] for line in lines if line["event"] == "journal"}
    assert "-migration-" in run_id
    head = place.clients.get("s3", TARGET).head_object(Bucket=f"old-media-{TARGET}", Key="docs/050")
    assert head["Metadata"] == {"n": "50"}

    assert place.migrate("--id", "whole")[1]["counts"] == done["counts"]
    assert place.target() == now
    code, plan = place.migrate("--plan-only")
    assert (code, plan["to_copy"], plan["counts"]["same"]) == (0, 0, 125)
    place.clients.get("s3", TARGET).put_object_tagging(
        Bucket=f"old-media-{TARGET}", Key="docs/051", Tagging={"TagSet": [{"Key": "a", "Value": "other"}]}
    )
    assert place.migrate("--plan-only")[1]["to_copy"] == 0
    assert place.migrate("--plan-only", "--deep")[1]["to_copy"] == 1

    code, undone = place.json("rollback", "whole", "--reason", "trial")
    assert code == 0, undone
    _require_unseen(told(place))
    assert undone["counts"] == {"undone": 125}
    assert place.target() == was
    assert place.json("rollback", "whole")[0] == 0
    assert place.target() == was
    _require_report_of_all_of_it(place)
    assert place.json("status", "whole")[1]["status"] == "rolled_back"
    assert place.json("status", "whole", "--verify")[0] == 2
    assert place.migrate("--id", "whole")[0] == 3


def test_without_regions_it_goes_from_the_primary_to_the_next(place: Place) -> None:
    code, plan = place.json("migrate", "--plan-only")
    assert (code, plan["source"], plan["target"]) == (0, SOURCE, TARGET)


@pytest.mark.parametrize(
    ("carry", "code", "words"),
    [
        ('{s3: [{bucket: "nowhere-to-be-found-{region}"}]}', 2, "nowhere-to-be-found-us-east-1 is not there"),
        ('{s3: [{bucket: "plain-{region}"}]}', 2, "plain-us-east-1 does not keep versions"),
        (
            '{s3: [{bucket: "old-media-{region}", target_bucket: locked-away}]}',
            3,
            "locked-away is under Object Lock",
        ),
        ('{s3: [{bucket: "old-media-{region}", prefix: nothing/}]}', 2, "select nothing"),
        ("{}", 2, "Nothing is named"),
        # The worker was given the rights for what the settings named at the last `up`.
        ('{s3: [{bucket: "old-media-{region}", prefix: pics/}]}', 3, "no permission"),
    ],
)
def test_what_cannot_be_carried_is_refused_before_the_first_write(
    carry: str, code: int, words: str, place: Place, refused: Callable[..., tuple[int, Any]]
) -> None:
    was, recorded = place.target(), records(place)
    told, answer = refused("migrate", "--config", place.carrying(carry))
    assert words in answer["error"]["message"]
    assert told == code
    assert answer["error"]["where"]
    assert (place.target(), records(place)) == (was, recorded)


@pytest.mark.thorough
def test_one_that_was_stopped_holds_the_target_is_listed_and_can_be_taken_back(place: Place) -> None:
    was = place.target()
    for execution in kill_while_copying(place, "stopped"):
        place.clients.get("stepfunctions", TARGET).stop_execution(executionArn=execution)
    code, status = place.json("status")
    assert code == 1
    newest = status["migrations"][0]
    assert (newest["migration_id"], newest["region"], newest["settled"]) == ("stopped", TARGET, False)
    assert newest["source"] == SOURCE
    code, answer = place.migrate("--id", "second")
    assert code == 3
    assert "stopped" in answer["error"]["message"]
    assert "rollback stopped" in answer["error"]["remedy"]
    code, undone = place.json("rollback", "stopped")
    assert code == 0, undone
    assert place.target() == was
    code, status = place.json("status")
    assert (code, status["migrations"][0]["status"]) == (0, "rolled_back")


def test_what_a_killed_command_left_running_is_stopped_and_taken_back(place: Place) -> None:
    was = place.target()
    kill_while_copying(place, "running")
    code, undone = place.json("resume", "--back")
    assert code == 0, undone
    assert undone["migration_id"] == "running"
    assert place.target() == was


def test_a_killed_one_goes_on_with_its_id_and_copies_nothing_twice(place: Place) -> None:
    was = place.target()
    kill_while_copying(place, "again")
    code, done = place.json("resume")
    assert code == 0, done
    assert (done["migration_id"], done["level"]) == ("again", "full")
    assert done["counts"]["proven"] == 125
    assert len(place.target()["versions"]) == len(was["versions"]) + 122
    assert place.json("rollback", "again")[0] == 0
    assert place.target() == was


@pytest.mark.thorough
def test_an_interrupted_one_stops_and_goes_on_with_its_id(place: Place) -> None:
    was = place.target()
    kill_while_copying(place, "interrupted", signal.SIGINT)
    code, done = place.migrate("--id", "interrupted")
    assert code == 0, done
    assert done["counts"]["proven"] == 125
    assert place.json("rollback", "interrupted")[0] == 0
    assert place.target() == was


def test_what_was_not_confirmed_is_not_carried(place: Place) -> None:
    was = place.target()
    ours, theirs = os.openpty()
    command = subprocess.Popen(
        [sys.executable, "-m", "regionshift", "migrate", "--from", SOURCE, "--to", TARGET, "--id", "late"],
        cwd=place.folder,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert command.stdout is not None
    said = b""
    while b"Copy 125 items" not in said:
        some = os.read(command.stdout.fileno(), 4096)
        assert some, "it ended before it asked"
        said += some
    place.put(SOURCE, "docs/late", b"written while somebody reads the plan")
    os.write(ours, b"y\n")
    _, err = command.communicate(timeout=120)
    assert command.returncode == 3, err
    assert b"now: 125 new, 1 changed" in err
    assert place.target() == was
    place.clients.get("s3", SOURCE).delete_object(Bucket=f"old-media-{SOURCE}", Key="docs/late")


@pytest.mark.thorough
def test_an_interrupted_rollback_closes_its_run_and_is_finished_by_the_next(place: Place) -> None:
    was = place.target()
    assert place.migrate("--id", "half", "--level", "pinned")[0] == 0
    kill_while_running(place, place.start("rollback", "half", "--yes"), signal.SIGINT)
    newest = place.json("history")[1][0]
    assert (newest["kind"], newest["outcome"]) == ("rollback", "interrupted")
    assert place.json("rollback", "half")[0] == 0
    assert place.target() == was


def kill_while_copying(place: Place, migration_id: str, number: signal.Signals = signal.SIGKILL) -> list[str]:
    """End a migration's command as soon as the copying runs inside AWS; gives what runs there."""
    command = place.start("migrate", "--from", SOURCE, "--to", TARGET, "--id", migration_id, "--yes")
    return kill_while_running(place, command, number)


def kill_while_running(place: Place, command: subprocess.Popen[bytes], number: signal.Signals) -> list[str]:
    """End a command as soon as an execution runs; gives what runs there."""
    calls = place.clients.get("stepfunctions", TARGET)
    machine = calls.list_state_machines()["stateMachines"][0]["stateMachineArn"]
    until = time.monotonic() + 120
    while True:
        found = calls.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
        if found:
            break
        assert command.poll() is None, "it ended before it copied"
        assert time.monotonic() < until
        time.sleep(0.05)
    os.killpg(command.pid, number)
    ended = command.wait(timeout=120)
    assert ended == (130 if number == signal.SIGINT else -number)
    return [one["executionArn"] for one in found]


def test_validate_reports_what_it_measured_against_the_targets(place: Place) -> None:
    code, answer = place.json("validate", "--junit", "checks.xml")
    assert code == 0
    recovery = answer["recovery"]
    assert recovery["replication_seconds"].keys() == {TARGET}
    assert recovery["rpo_seconds"] == recovery["replication_seconds"][TARGET]
    assert recovery["rpo_target_seconds"] == 900
    named = [one.get("name") for one in ET.parse(place.folder / "checks.xml").iter("property")]
    assert "recovery.rpo_seconds" in named
    assert "recovery.seconds" in named
    assert "replication delay (RPO)" in place.run("validate")[1]


def test_what_nobody_migrated_is_not_found(refused: Callable[..., tuple[int, Any]]) -> None:
    for command in ("rollback", "status"):
        code, answer = refused(command, "nobody-made-this")
        assert code == 1
        assert "nobody-made-this" in answer["error"]["message"]


def test_what_was_changed_since_is_found_left_alone_and_named(place: Place) -> None:
    assert place.migrate("--id", "touched", "--level", "pinned")[0] == 0
    code, status = place.json("status", "touched", "--verify")
    assert (code, status["verified"]["proven"], status["verified"]["unproven"]) == (0, 125, 0)
    place.put(TARGET, "docs/050", b"somebody's")
    code, status = place.json("status", "touched", "--verify")
    assert (code, status["verified"]["proven"]) == (1, 124)
    assert [each["key"].rpartition("/docs/")[2] for each in status["verified"]["problems"]] == ["050"]
    assert "docs/050" in place.run("status", "touched", "--verify")[1]
    assert place.run("status", "--verify")[0] == 2
    code, plan = place.migrate("--plan-only")
    assert code == 3
    assert [item["item"].rpartition("/docs/")[2] for item in plan["conflicts"]] == ["050"]
    code, answer = place.migrate()
    assert code == 3
    assert "docs/050" in answer["error"]["message"]
    code, undone = place.json("rollback", "touched")
    assert code == 1
    assert [conflict["key"] for conflict in undone["conflicts"]] == ["docs/050"]
    assert place.target()["objects"]["docs/050"] == b"somebody's"
    # The stranger's version goes, and the rollback can be finished.
    place.clients.get("s3", TARGET).delete_object(Bucket=f"old-media-{TARGET}", Key="docs/050")


def test_a_migration_that_cannot_be_proven_goes_back_by_itself(place: Place) -> None:
    was = place.target()
    s3 = place.clients.get("s3", TARGET)
    barred = {
        "Sid": "Barred",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::old-media-{TARGET}/docs/011",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [barred]})
    s3.put_bucket_policy(Bucket=f"old-media-{TARGET}", Policy=document)
    try:
        code, answer = place.migrate("--id", "barred")
    finally:
        s3.delete_bucket_policy(Bucket=f"old-media-{TARGET}")
    assert code == 1
    assert answer["status"] == "rolled_back"
    assert [problem["key"] for problem in answer["problems"]] == ["docs/011"]
    assert place.target() == was
    (counted,) = place.json("report", "barred")[1]["migrations"]
    assert counted["taken_back"] == counted["copied"] > 0
    assert [reason["item"] for reason in counted["reasons"]] == [f"old-media-{TARGET}/docs/011"]


def test_the_worker_reaches_nothing_that_is_not_named(place: Place) -> None:
    s3 = place.clients.get("s3", SOURCE)
    s3.create_bucket(Bucket="private-of-somebody")
    s3.put_bucket_versioning(Bucket="private-of-somebody", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="private-of-somebody", Key="a", Body=b"x")
    entry = {
        "kind": "s3",
        "source": {"region": SOURCE, "bucket": "private-of-somebody", "prefix": ""},
        "target": {"region": TARGET, "bucket": f"old-media-{TARGET}", "prefix": ""},
        **{"include": [], "exclude": [], "history": False, "storage_class": "keep", "kms_key": None},
        **{"rewrite": [], "tags": {}, "owned": []},
    }
    reply = place.clients.get("lambda", TARGET).invoke(
        FunctionName=f"carrier-worker-{TARGET}-e2e",
        Payload=json.dumps(
            {"step": "plan", "migration_id": "thief", "entries": [entry], "level": "full"}
        ).encode(),
    )
    answer = json.loads(reply["Payload"].read())
    assert (answer["status"], answer["batches"]) == ("refused", 0)
    assert "`carry` does not name" in answer["error"]
