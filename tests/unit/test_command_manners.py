"""How the command line helps: a whole sentence and examples for every command, completion, versions."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from typer.testing import CliRunner

from regionshift.cli.app import app
from regionshift.cli.completion import complete_regions, complete_runs
from regionshift.cli.failure import run
from regionshift.journal.backends import open_state
from regionshift.journal.identity import Identity
from regionshift.journal.journal import Journal
from regionshift.surroundings import surroundings

GROUP: Any = typer.main.get_command(app)
ACCOUNT = "123456789012"


def _leaves(group: Any, *path: str) -> list[tuple[tuple[str, ...], Any]]:
    found = []
    for name, command in group.commands.items():
        inner = hasattr(command, "commands")
        found += _leaves(command, *path, name) if inner else [((*path, name), command)]
    return found


COMMANDS = _leaves(GROUP)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings = {
        "project": "orders",
        "environment": "dev",
        "account": ACCOUNT,
        "regions": {"primary": "us-east-1", "secondaries": ["eu-west-1", "eu-north-1"]},
        "network": {"vpc_cidr": "10.0.0.0/16"},
    }
    (tmp_path / "regionshift.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("group", ["", "local", "policy", "ci"])
def test_no_sentence_in_a_list_of_commands_is_cut(group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = CliRunner().invoke(app, [*group.split(), "--help"]).stdout
    listed = said.partition("Commands:")[2].splitlines()
    assert len(listed) > 2
    assert [line for line in listed if "..." in line or len(line) > 80] == []


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])
def test_every_command_has_an_example_that_it_takes(path: tuple[str, ...], command: Any) -> None:
    examples = re.findall(r"^ +((?:eval )?.*regionshift .*)$", command.help.partition("Examples:")[2], re.M)
    assert examples, f"{path} has no example"
    for example in examples:
        shown = re.sub(r'^eval "\$\((.*)\)"$', r"\1", example)
        words = shlex.split(shown)[1:]
        assert tuple(words[: len(path)]) == path
        context = command.make_context(path[-1], words[len(path) :], resilient_parsing=False)
        assert context.params is not None


def test_help_is_a_command_too() -> None:
    asked = CliRunner().invoke(app, ["help", "local", "up"])
    assert asked.exit_code == 0
    assert "Usage: regionshift local up" in asked.stdout.replace("root ", "regionshift ", 1)
    assert "--weather" in asked.stdout
    assert CliRunner().invoke(app, ["help"]).stdout.count("\n") > 20


def test_help_of_what_is_no_command_repeats_it_harmlessly(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(app, ["help", "local", "\x1b]52;c;x\x07\nerror: no"]) == 2
    said = capsys.readouterr().err
    assert said.splitlines()[0].startswith("error: There is no command \\x1b]52")
    assert "\x1b" not in said


def test_regions_complete_as_the_settings_have_them(folder: Path) -> None:
    context = typer.Context(GROUP)
    assert complete_regions(context, "eu-") == ["eu-west-1", "eu-north-1"]
    (folder / "regionshift.yaml").write_text("regions: [")
    assert complete_regions(context, "") == []


def test_runs_complete_as_the_state_on_this_machine_has_them(folder: Path) -> None:
    scope = Identity("orders", "dev", "local", ACCOUNT).scope
    store = open_state((folder / ".regionshift/state").as_uri())
    run = Journal(store, scope, surroundings().now).start("deployment", {"regions": ["eu-west-1"]})
    context = typer.Context(GROUP)
    assert complete_runs(context, "0000") == [(run.run_id, "deployment, not finished")]
    assert complete_runs(context, "9") == []


def test_keys_and_state_beside_the_settings_are_kept_out_of_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(app, ["init", "--project", "orders"]) == 0
    subprocess.run(["git", "init", "--quiet"], check=True)
    (tmp_path / ".regionshift" / "state.key").write_text("secret")
    subprocess.run(["git", "add", "--all"], check=True)
    held = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout
    assert held.split() == ["regionshift.yaml"]


def test_init_writes_nothing_that_the_settings_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(app, ["init", "--account", "123", "--primary", "eu-wset-1"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "2 mistakes" in told and "123" in told and "did you mean eu-west-1" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_up", [True, False])
def test_a_wipe_tells_of_an_environment_only_where_the_state_has_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], is_up: bool
) -> None:
    stacks = tmp_path / ".regionshift/state/engine/.pulumi/stacks/orders"
    stacks.mkdir(parents=True)
    (stacks / ("dev.json" if is_up else "dev.json.bak")).touch()
    assert run(app, ["local", "down", "--wipe", "--config", str(tmp_path / "regionshift.yaml")]) == 0
    assert ("regionshift up --refresh" in capsys.readouterr().out) == is_up
