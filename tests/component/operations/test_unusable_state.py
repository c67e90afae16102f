"""A state, or a disk, that cannot be used is one clear error in every command, never a defect of ours."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from regionshift import session
from regionshift.cli.app import app
from regionshift.cli.failure import run
from regionshift.journal import backends
from regionshift.journal.backends import FileStore, open_state
from regionshift.journal.lock import Holder, LeaseTerms, acquire
from regionshift.journal.store import StateFull, StateUnreachable
from regionshift.operations.room import Disk, needed, room_findings

pytestmark = pytest.mark.component
COMMANDS = [
    ["status"],
    ["history"],
    ["outputs"],
    ["validate"],
    ["drift"],
    ["preview"],
    ["up", "--yes"],
    ["up", "--rejoin", "us-east-1", "--yes"],
    ["rollback", "--yes"],
    ["resume", "--yes"],
    ["promote", "us-east-1", "--yes"],
    ["promote", "us-east-1", "--source-lost", "--yes"],
    ["move", "--from", "eu-west-1", "--to", "us-east-1", "--yes"],
    ["migrate", "--from", "eu-west-1", "--to", "us-east-1", "--yes"],
    ["destroy", "--yes"],
]
SETTINGS = """\
project: disks
environment: dev
account: "123456789012"
target: local
regions: {primary: eu-west-1, secondaries: [us-east-1]}
network: {vpc_cidr: 10.0.0.0/16, flow_logs: false}
"""


@pytest.fixture
def file(command_file: Path) -> Path:
    command_file.write_text(SETTINGS)
    return command_file


def _fails_clearly(file: Path, command: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    code = run(app, [*command, "--config", str(file)])
    out, err = capsys.readouterr()
    said = out + err
    assert code in (1, 2, 3), command
    assert said.count("error:") == 1 and "  where: " in said and "  next: " in said, (command, said)
    assert "defect of regionshift" not in said and "Traceback" not in said, (command, said)
    return said


def test_every_command_tells_of_a_file_in_the_place_of_its_folder(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file.parent / ".regionshift").write_text("")
    for command in COMMANDS:
        assert str(file.parent / ".regionshift") in _fails_clearly(file, command, capsys)


def test_every_command_tells_of_a_state_below_a_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file.parent / "taken").write_text("")
    file.write_text(f"{SETTINGS}state: {(file.parent / 'taken/state').as_uri()}\n")
    for command in COMMANDS:
        assert "a file, not a folder" in _fails_clearly(file, command, capsys)
    ends = run(app, ["up", "--yes", "--config", str(file), "--json"])
    capsys.readouterr()
    assert run(app, ["doctor", "--config", str(file), "--json"]) == ends == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["code"] == "state" and "a file, not a folder" in finding["message"]


_REFUSALS = [
    (errno.EACCES, "may not", StateUnreachable),
    (errno.EROFS, "read-only", StateUnreachable),
    (errno.ENOSPC, "no room is left", StateFull),
    (errno.EDQUOT, "quota", StateFull),
    (errno.EIO, "does not read or write", StateUnreachable),
]


@pytest.mark.parametrize(("number", "said", "kind"), _REFUSALS)
@pytest.mark.parametrize("as_rust_tells", [False, True])
def test_what_the_system_refuses_of_the_state_is_told_in_words(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    said: str,
    kind: type[StateUnreachable],
    *,
    as_rust_tells: bool,
) -> None:
    store = FileStore(tmp_path / "state")

    def refused(*_: object, **__: object) -> None:
        if as_rust_tells:
            text = f"Generic LocalFileSystem error: Unable to open file: {os.strerror(number)} (os error {number})"
            raise backends.BaseError(text)
        raise OSError(number, os.strerror(number), "x")

    monkeypatch.setattr(backends.obstore, "put", refused)
    for write in (store.create, store.put):
        with pytest.raises(kind) as told:
            write("journal/dev/runs/000001/00000001.json", b"{}")
        assert said in told.value.message
        assert told.value.where == f"{store.url}/journal/dev/runs/000001/00000001.json"


@pytest.mark.parametrize(("number", "said", "kind"), _REFUSALS)
def test_what_the_system_refuses_of_the_lock_is_told_in_words(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    said: str,
    kind: type[StateUnreachable],
) -> None:
    store = open_state((tmp_path / "state").as_uri())

    def refused(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number), "x")

    me = Holder("ann", "here", 1, datetime.now(UTC), "token")
    monkeypatch.setattr("filelock._unix.os.open", refused)
    with pytest.raises(kind) as told:
        acquire(store, "dev", me, LeaseTerms(lambda: 0.0))
    assert said in told.value.message and "locks/" in str(told.value.where)


def test_a_run_needs_room_for_all_that_it_writes_on_one_disk() -> None:
    all_in_one = needed("state", 2) + needed("work", 2) + needed("cloud", 2)
    uses = ("state", "work", "cloud")
    assert room_findings([Disk(use, "/d", 1, all_in_one) for use in uses], 2) == []
    (found,) = room_findings([Disk(use, "/d", 1, all_in_one - 1) for use in uses], 2)
    assert found.severity == "error" and "/d" in found.message
    apart = [Disk(use, f"/{use}", number, needed(use, 2)) for number, use in enumerate(uses)]
    assert room_findings(apart, 2) == []
    assert len(room_findings(apart, 3)) == 3, "more regions need more"


def test_a_full_disk_is_told_before_anything_is_begun(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(session.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    for command in COMMANDS:
        if command[0] in ("up", "destroy", "promote", "move", "resume"):
            assert run(app, [*command, "--config", str(file)]) == 3, command
            said = capsys.readouterr().err
            assert "No room for a run" in said and "1 MB of room left" in said
    assert not list((file.parent / ".regionshift/state/journal").glob("*"))
    assert run(app, ["doctor", "--config", str(file), "--json"]) == 3
    findings: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["findings"]
    assert "disk" in {each["code"] for each in findings}
