"""The options that commands share: where the help lists them, and that what is given reaches the command."""

from __future__ import annotations

import os
from typing import Annotated, Any

import pytest
import typer.main
from typer.testing import CliRunner

from regionshift.cli.app import app, takes
from regionshift.cli.options import CHANGE, DEFAULT_CONFIG, MACHINE, Account, Choices

GIVEN = {
    "config": (["--config", "a.yaml"], "a.yaml"),
    "target": (["--target", "aws"], "aws"),
    "endpoint": (["--endpoint", "https://127.0.0.1:1"], "https://127.0.0.1:1"),
    "account": (["--account", "123456789012"], "123456789012"),
    "as_json": (["--json"], "True"),
    "yes": (["-y"], "True"),
    "quiet": (["-q"], "True"),
    "verbosity": (["-vv"], "2"),
    "log_file": (["--log-file", os.devnull], os.devnull),
    "lock_timeout": (["--lock-timeout", "15m"], "900"),
    "may_force": (["--force"], "True"),
}


def _commands(group: Any) -> list[Any]:
    return [
        inner
        for command in group.commands.values()
        for inner in (_commands(command) if hasattr(command, "commands") else [command])
        if inner.name != "help"
    ]


def _app() -> tuple[typer.Typer, list[tuple[Choices, str]]]:
    made, seen = typer.Typer(), []

    @made.command()
    @takes(CHANGE)
    def change(
        what: Annotated[str, typer.Argument()],
        choices: Choices,
        last: Annotated[bool, typer.Option("--last")] = False,
    ) -> None:
        seen.append((choices, f"{what} {last}"))

    @made.command()
    @takes(MACHINE)
    def machine(
        account: Account = "000000000000",
        port: Annotated[int | None, typer.Option()] = None,
        *,
        choices: Choices,
    ) -> None:
        seen.append((choices, f"{account} {port}"))

    return made, seen


@pytest.mark.parametrize("name", CHANGE)
def test_what_is_given_is_in_the_choices_and_nothing_else_changes(name: str) -> None:
    made, seen = _app()
    arguments, value = GIVEN[name]
    assert CliRunner().invoke(made, ["change", "x", "--last", *arguments]).exit_code == 0
    [(choices, own)] = seen
    assert own == "x True"
    assert str(getattr(choices, name)) == value
    others = [field for field in GIVEN if field != name]
    assert [getattr(choices, field) for field in others] == [getattr(Choices(), field) for field in others]


def test_what_a_command_declares_itself_is_as_and_where_it_declares_it() -> None:
    made, seen = _app()
    assert CliRunner().invoke(made, ["machine", "--port", "1"]).exit_code == 0
    assert seen == [(Choices(DEFAULT_CONFIG, account="000000000000"), "000000000000 1")]
    machine = typer.main.get_command(made).commands["machine"]  # type: ignore[attr-defined]
    assert [each.name for each in machine.params] == [
        "account",
        "port",
        *(name for name in MACHINE if name != "account"),
    ]


def test_every_command_takes_what_every_command_takes_and_means_the_same_by_it() -> None:
    commands = _commands(typer.main.get_command(app))
    assert len(commands) > 15
    for name in MACHINE:
        said = {
            (each.opts[0], each.help) for command in commands for each in command.params if each.name == name
        }
        assert len(said) == 1, said
        assert all(name in [each.name for each in command.params] for command in commands)
