"""What exit codes promise: of every command the same, and 2 and 3 that nothing was touched."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer
from botocore.exceptions import ClientError

from regionshift import session
from regionshift.cli import explain, opening
from regionshift.cli.app import app
from regionshift.cli.failure import run
from regionshift.cli.opening import opened
from regionshift.cli.options import Choices
from regionshift.errors import (
    EXIT_FAILED,
    EXIT_INPUT,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_REFUSED,
    InputError,
    Interrupted,
    Refused,
    RegionshiftError,
    WorkFailed,
)
from regionshift.journal.backends import open_state
from regionshift.journal.journal import Journal
from regionshift.local import emulator
from regionshift.operations.moving.fencing import NOT_SHUT, shut_again
from regionshift.runs.deployment_plan import WaveStep
from regionshift.runs.driver import Waits
from regionshift.session import Session
from regionshift.settings import template
from regionshift.settings.config import MigrationConfig

Does = Callable[[Session], object]


@pytest.fixture
def ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The exit code of a command that does these things, one after the other, each with all opened anew."""

    @contextmanager
    def made(*_: Any, changing: Callable[[], None], **__: Any) -> Iterator[Any]:
        state = open_state((tmp_path / "state").as_uri())
        journal = Journal(state, "dev", lambda: datetime.now(UTC), changing=changing)
        yield SimpleNamespace(journal=journal, environment=SimpleNamespace(engine=SimpleNamespace(mended=())))

    monkeypatch.setattr(opening, "open_session", made)

    def ended(*does: Does, arguments: tuple[str, ...] = ()) -> int:
        single = typer.Typer()

        @single.command()
        def change(as_json: bool = typer.Option(False, "--json")) -> int:
            del as_json
            code: object = 0
            for each in does:
                with opened(Choices(Path("regionshift.yaml"))) as wired:
                    code = each(wired)
            return code if isinstance(code, int) else 0

        return run(single, [*arguments])

    return ended


def _raising(error: BaseException) -> Does:
    def ends_with_it(_: Session) -> None:
        raise error

    return ends_with_it


def _opens_a_run(wired: Session) -> None:
    wired.journal.start("deployment", {})


def _begins(wired: Session) -> None:
    wired.journal.start("deployment", {}).append("apply", "before")


def _only_looks(wired: Session) -> None:
    run = wired.journal.start("migration", {})
    run.append("plan", "before", only_looks=True)
    run.append("plan", "failed")
    run.close("failed", failed=True)


def _changes_a_fence(wired: Session) -> None:
    wired.journal.start("fence", {}).close("succeeded")


def _writes_the_settings(wired: Session) -> None:
    wired.journal.changing()


@pytest.mark.parametrize("before", [_opens_a_run, _only_looks])
@pytest.mark.parametrize(
    ("error", "code"), [(InputError("no"), 2), (Refused("no"), 3), (WorkFailed("no"), 1)]
)
def test_what_is_refused_before_the_first_change_says_so(
    ends: Callable[..., int], before: Does, error: RegionshiftError, code: int
) -> None:
    assert ends(before, _raising(error)) == code


@pytest.mark.parametrize("before", [_begins, _changes_a_fence, _writes_the_settings])
@pytest.mark.parametrize("error", [InputError("no"), Refused("no"), WorkFailed("no")])
def test_no_end_after_a_change_says_that_nothing_was_touched(
    ends: Callable[..., int], before: Does, error: RegionshiftError, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(before, _raising(error)) == 1
    capsys.readouterr()
    assert ends(before, _raising(error), arguments=("--json",)) == 1
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 1


@pytest.mark.parametrize(("returned", "code"), [(0, 0), (1, 1), (2, 1), (3, 1), (130, 130)])
def test_a_code_that_a_command_gives_itself_follows_the_same_rule(
    ends: Callable[..., int], returned: int, code: int
) -> None:
    assert ends(lambda _: returned) == returned
    assert ends(_begins, lambda _: returned) == code


def test_a_wave_that_waits_and_an_interruption_keep_their_codes(ends: Callable[..., int]) -> None:
    assert ends(_begins, _raising(Waits("wave 2 waits"))) == 3
    assert ends(_begins, _raising(Interrupted("stopped"))) == 130
    assert ends(_begins, _raising(KeyboardInterrupt())) == 130


def test_an_unanswered_question_after_a_change_does_not_say_that_nothing_was_changed(
    ends: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(_raising(typer.Abort())) == 130
    assert "nothing was changed" in capsys.readouterr().err
    assert ends(_begins, _raising(typer.Abort())) == 130
    assert "nothing was changed" not in capsys.readouterr().err


def test_what_one_command_changed_is_not_held_against_the_next(ends: Callable[..., int]) -> None:
    assert ends(_begins, _raising(Refused("no"))) == 1
    assert ends(_raising(Refused("no"))) == 3


def test_of_a_deployments_steps_only_applying_and_linking_change_something() -> None:
    looks = {
        action: WaveStep(action, regions=("eu-west-1",), action=action).only_looks for action in _ACTIONS
    }
    assert [action for action in _ACTIONS if not looks[action]] == ["apply", "links"]


_ACTIONS: tuple[Any, ...] = ("approve", "apply", "validate", "bake", "links")


@pytest.mark.parametrize(("shut", "code"), [(4, 1), (1, 1), (0, 3)])
def test_a_fence_that_was_closed_even_in_part_is_a_change(
    ends: Callable[..., int], shut: int, code: int
) -> None:
    calls: list[str] = []

    def put_role_policy(**asked: str) -> None:
        calls.append(asked["RoleName"])
        if len(calls) > shut:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "PutRolePolicy")

    def tries_again(wired: Session) -> None:
        lost = {"fenced": ["us-east-1"], NOT_SHUT: {"us-east-1": ["a-role"]}}
        wired.journal.start("promotion", {}).close("rolled back", lost, failed=True)
        clients = SimpleNamespace(get=lambda *_: SimpleNamespace(put_role_policy=put_role_policy))
        shut_again(cast(Any, SimpleNamespace(clients=clients, config=CONFIG)), wired.journal)

    assert ends(tries_again, _raising(Refused("not confirmed"))) == code
    assert len(calls) == 4


# Every command: what it must be given, and where its codes differ from those of most. A command without a row fails.
@dataclass(frozen=True)
class Row:
    """``reads``: it reads the settings."""

    needs: tuple[str, ...] = ()
    reads: bool = True


TABLE: dict[tuple[str, ...], Row] = {
    ("init",): Row(reads=False),
    ("explain",): Row(reads=False),
    ("bootstrap",): Row(),
    ("doctor",): Row(),
    ("preview",): Row(),
    ("up",): Row(),
    ("validate",): Row(),
    ("outputs",): Row(),
    ("destroy",): Row(),
    ("migrate",): Row(),
    ("rollback",): Row(),
    ("releases",): Row(),
    ("diff",): Row(("aaaaaa", "bbbbbb")),
    ("history",): Row(),
    ("status",): Row(),
    ("report",): Row(),
    ("drift",): Row(),
    ("resume",): Row(),
    ("promote",): Row(("us-east-1",)),
    ("move",): Row(("--from", "eu-west-1", "--to", "us-east-1")),
    ("local", "up"): Row(),
    ("local", "status"): Row(reads=False),
    ("local", "env"): Row(reads=False),
    ("local", "down"): Row(reads=False),
    ("ci", "github"): Row(reads=False),
    ("ci", "gitlab"): Row(reads=False),
    ("policy", "deploy"): Row(reads=False),
    ("policy", "runtime"): Row(reads=False),
}
CONFIG = MigrationConfig.model_validate(
    {
        "project": "shop",
        "environment": "dev",
        "account": "123456789012",
        "regions": {"primary": "eu-west-1", "secondaries": ["us-east-1"]},
        "network": {"vpc_cidr": "10.0.0.0/16"},
    }
)
SETTINGS = """\
project: shop
environment: dev
account: "123456789012"
target: local
regions: {primary: eu-west-1, secondaries: [us-east-1]}
network: {vpc_cidr: 10.0.0.0/16}
state: %s
"""


def _commands(group: Any, before: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for name, command in group.commands.items():
        path = (*before, name)
        found |= _commands(command, path) if hasattr(command, "commands") else {path: command}
    return found


COMMANDS = _commands(typer.main.get_command(app))
READING = [path for path, row in TABLE.items() if row.reads]
# What works on an environment can be told where its AWS is.
WIRED = [
    path for path, command in COMMANDS.items() if any(each.name == "endpoint" for each in command.params)
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Settings of an environment whose state is no folder."""
    state = tmp_path / "state"
    state.write_text("no folder")
    found = tmp_path / "regionshift.yaml"
    found.write_text(SETTINGS % state.as_uri())
    return found


def _code(path: tuple[str, ...], file: Path, *more: str) -> int:
    return run(app, [*path, *TABLE[path].needs, "--config", str(file), *more])


def test_every_command_has_its_row() -> None:
    assert set(TABLE) == {path for path in COMMANDS if path != ("help",)}
    assert {path for path, row in TABLE.items() if row.reads} - {("local", "up")} == set(WIRED)


def test_the_codes_are_those_of_the_reference() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/commands.md").read_text()
    rows = re.findall(r"^\| (\d+) \| ", page, re.MULTILINE)
    assert [int(row) for row in rows if int(row) < 4 or int(row) == 130] == [
        EXIT_OK,
        EXIT_FAILED,
        EXIT_INPUT,
        EXIT_REFUSED,
        EXIT_INTERRUPTED,
    ]


@pytest.mark.parametrize("path", TABLE, ids=" ".join)
def test_what_is_asked_for_is_done_with_0(path: tuple[str, ...], file: Path) -> None:
    assert run(app, [*path, "--help"]) == 0
    if path == ("init",):
        assert run(app, ["init", "--config", str(file.with_name("new.yaml"))]) == 0
    if path in (("local", "down"), ("explain",)):
        assert _code(path, file) == 0
    if path in (("local", "status"), ("local", "env")):
        assert _code(path, file) == 1, "it does not run"


@pytest.mark.parametrize("path", TABLE, ids=" ".join)
def test_wrong_input_is_2(path: tuple[str, ...], file: Path) -> None:
    assert run(app, [*path, "--no-such-option"]) == 2
    if TABLE[path].reads:
        assert _code(path, file.with_name("missing.yaml")) == 2
    if path == ("init",):
        assert _code(path, file) == 2, "it is there already"
    if path == ("explain",):
        assert _code(path, file, "RS-NOTHING-999") == 2


@pytest.mark.parametrize("path", WIRED, ids=" ".join)
def test_what_a_guard_refuses_is_3(path: tuple[str, ...], file: Path) -> None:
    assert _code(path, file, "--endpoint", "https://192.0.2.1") == 3, "no loopback address"


@pytest.mark.parametrize("path", WIRED, ids=" ".join)
def test_work_that_fails_is_1(path: tuple[str, ...], file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIONSHIFT_CA_BUNDLE", str(file))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    assert _code(path, file, "--endpoint", "https://127.0.0.1:9") == 1


@pytest.mark.parametrize("path", TABLE, ids=" ".join)
def test_ctrl_c_is_130_and_is_told(
    path: tuple[str, ...], file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "load_config", interrupted)
    monkeypatch.setattr(template, "settings_template", interrupted)
    monkeypatch.setattr(emulator, "status", interrupted)
    monkeypatch.setattr(emulator, "down", interrupted)
    monkeypatch.setattr(explain, "print_json", interrupted)
    there = file.with_name("new.yaml") if path == ("init",) else file
    assert _code(path, there, *(["--json"] if path == ("explain",) else [])) == 130
    said = "".join(capsys.readouterr())
    assert "Interrupted." in said
    assert "regionshift status" in said


def test_what_python_does_at_its_end_spoils_no_exit_code() -> None:
    """A library's thread that wakes up in it can end the process with a signal, or keep it for ever."""
    script = (
        "import atexit, os, signal, sys, threading, time\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGSEGV))\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "sys.argv = ['regionshift', *sys.argv[1:]]\n"
        "from regionshift.cli import main\n"
        "main()\n"
    )
    for arguments, code, said in (("--version", 0, "regionshift "), ("nothing", 2, "No such command")):
        done = subprocess.run(
            [sys.executable, "-c", script, arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, done.stderr
        assert said in done.stdout + done.stderr
        for closed in (">&-", "2>&-"):
            line = f'exec "$0" "$@" {closed}'
            done = subprocess.run(
                ["sh", "-c", line, sys.executable, "-c", script, arguments], check=False, timeout=120
            )
            assert done.returncode == code
