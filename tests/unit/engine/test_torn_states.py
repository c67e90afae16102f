"""What a full disk or a kill left of the engine's state, and the folders of runs that are no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pulumi.automation import CommandResult, _stack
from pulumi.automation.errors import CommandError

from regionshift.engine.engine import EngineFailed, RunRecord, _failure
from regionshift.engine.events import Problem
from regionshift.engine.sdk import Scratch
from regionshift.engine.state_repair import repair_state
from regionshift.errors import NoRoom, WorkFailed

STATE = json.dumps({"version": 3, "checkpoint": {"stack": "dev"}}).encode()
OLDER = json.dumps({"version": 3, "checkpoint": {"stack": "dev", "latest": None}}).encode()


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    folder = tmp_path / ".pulumi/stacks/shop"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("cut", [b"", STATE[:1], STATE[: len(STATE) // 2], STATE[:-1], b"\0" * 40])
def test_a_cut_state_is_mended_from_its_copy_and_kept(tmp_path: Path, stacks: Path, cut: bytes) -> None:
    state = stacks / "dev.json"
    state.write_bytes(cut)
    (stacks / "dev.json.bak").write_bytes(OLDER)
    (stacks / "dev.json.attrs").write_bytes(b"{}")
    (stacks / "dev.json.bak.attrs").write_bytes(b"")
    (said,) = repair_state(tmp_path.as_uri(), "shop", "dev")
    assert str(state) in said and "one write older" in said
    assert state.read_bytes() == OLDER
    assert (stacks / "dev.json.torn").read_bytes() == cut
    assert not (stacks / "dev.json.attrs").exists(), "it told of the cut file"
    assert not (stacks / "dev.json.bak.attrs").exists(), "it is torn itself"
    assert repair_state(tmp_path.as_uri(), "shop", "dev") == []


def test_a_whole_state_is_left_alone_whatever_its_copy_is(tmp_path: Path, stacks: Path) -> None:
    (stacks / "dev.json").write_bytes(STATE)
    (stacks / "dev.json.bak").write_bytes(b"{")
    assert repair_state(tmp_path.as_uri(), "shop", "dev") == []
    assert (stacks / "dev.json").read_bytes() == STATE
    assert repair_state("s3://bucket/state/engine", "shop", "dev") == []


def test_other_environments_under_the_same_state_url_are_left_alone(tmp_path: Path, stacks: Path) -> None:
    """Their engines may be at work: what is cut now, they are just writing."""
    (stacks / "dev.json").write_bytes(STATE)
    written: dict[Path, bytes] = {}
    for name in ("shop/dev-2", "shop/prod", "billing/dev"):
        state = stacks.parent / f"{name}.json"
        written[state] = b"{"
        written[state.with_name(f"{state.name}.attrs")] = b""
        written[state.with_name(f"{state.name}.bak")] = OLDER
        written[state.with_name(f"{state.name}.bak.attrs")] = b""
        written[tmp_path / ".pulumi/locks/organization" / name / "one.json.attrs"] = b""
    for path, body in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    assert repair_state(tmp_path.as_uri(), "shop", "dev") == []
    assert {path: path.read_bytes() for path in written} == written
    assert not list(tmp_path.rglob("*.torn"))


def test_a_torn_sidecar_of_its_own_lock_is_taken_away(tmp_path: Path, stacks: Path) -> None:
    (stacks / "dev.json").write_bytes(STATE)
    lock = tmp_path / ".pulumi/locks/organization/shop/dev/one.json"
    lock.parent.mkdir(parents=True)
    lock.write_bytes(b"{}")
    torn = lock.with_name(f"{lock.name}.attrs")
    torn.write_bytes(b"")
    assert repair_state(tmp_path.as_uri(), "shop", "dev") == []
    assert lock.exists()
    assert not torn.exists()


@pytest.mark.parametrize("copy", [None, b"", b"{"])
def test_a_cut_state_without_a_whole_copy_is_told_and_left(
    tmp_path: Path, stacks: Path, copy: bytes | None
) -> None:
    (stacks / "dev.json").write_bytes(b"{")
    if copy is not None:
        (stacks / "dev.json.bak").write_bytes(copy)
    with pytest.raises(WorkFailed) as told:
        repair_state(tmp_path.as_uri(), "shop", "dev")
    assert told.value.where == str(stacks / "dev.json")
    assert (stacks / "dev.json").read_bytes() == b"{"


_ABOUT_ONE = Problem(
    "creating bucket: write /x/dev.json: no space left on device",
    "urn:pulumi:dev::shop::aws:s3/bucket:Bucket::b",
    None,
)


@pytest.mark.parametrize("told_by", ["resource", "output"])
def test_a_full_disk_is_told_as_such_and_is_no_failure_of_a_resource(told_by: str) -> None:
    record = RunRecord(problems=[_ABOUT_ONE] if told_by == "resource" else [])
    output = "" if told_by == "resource" else "error: saving checkpoint: write x: no space left on device\n"
    found = _failure("up", record, str(CommandError(_result(output))))
    assert isinstance(found, NoRoom)
    assert "disk of this machine is full" in found.message and "no space left on device" in found.message
    assert found.remedy and "regionshift resume" in found.remedy


@pytest.mark.parametrize("verb", ["preview", "refresh", "stack"])
def test_a_full_disk_where_nothing_was_begun_is_no_reason_to_resume(verb: str) -> None:
    found = _failure(verb, RunRecord(problems=[_ABOUT_ONE]), str(CommandError(_result(""))))
    assert isinstance(found, NoRoom)
    assert found.remedy and "run the command again" in found.remedy and "resume" not in found.remedy


@pytest.mark.parametrize(
    "said",
    [
        "RequestTimeTooSkewed: The difference between the request time and the current time is too large.",
        "SignatureDoesNotMatch: Signature expired: 20261130T000000Z is now earlier than 20261130T010000Z",
        "InvalidSignatureException: Signature not yet current: 20261130T050000Z is still later than …",
    ],
)
def test_a_clock_that_is_wrong_is_told_from_the_engines_words(said: str) -> None:
    record = RunRecord(problems=[Problem(said, "urn:pulumi:dev::shop::aws:s3/bucket:Bucket::b", None)])
    found = _failure("up", record, str(CommandError(_result(""))))
    assert isinstance(found, EngineFailed)
    assert found.remedy and "clock" in found.remedy


def test_any_other_failure_says_what_it_always_said() -> None:
    found = _failure(
        "up", RunRecord(problems=[Problem("AccessDenied", None, None)]), str(CommandError(_result("")))
    )
    assert isinstance(found, EngineFailed)
    assert found.remedy and "fix the cause" in found.remedy


def test_the_folders_of_a_killed_run_are_taken_away_by_the_next(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / str(dead.pid) / "automation-logs-up-x"
    left.mkdir(parents=True)
    of_another = tmp_path / str(os.getppid())
    of_another.mkdir()
    scratch = Scratch(tmp_path)
    with scratch.used_by_sdk():
        path, folder = _stack._create_log_file("up")
        assert Path(path).is_relative_to(scratch.folder)
        scratch.remove_dead()
        assert Path(path).exists(), "ours"
        folder.cleanup()
    assert not left.exists()
    assert of_another.exists(), "its process lives"
    scratch.remove()
    assert not scratch.folder.exists()
    _, elsewhere = _stack._create_log_file("up")
    assert not Path(elsewhere.name).is_relative_to(tmp_path)
    elsewhere.cleanup()


def _result(output: str) -> CommandResult:
    return CommandResult(stdout="", stderr=output, code=255)
