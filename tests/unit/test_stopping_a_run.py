"""A stopped CLI: one stop ends one run, a person's stop ends all that would follow."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation.errors import CommandError
from semver import VersionInfo

from regionshift.engine.cli import StoppableCommand

# No Python: told to stop while it starts it can lose the signal, which is raised inside a callback of its imports.
_ENDS_ON_A_SIGNAL = """#!/bin/sh
echo ready
[ "$2" = wait ] && exec sleep 60
exit 0
"""


@pytest.fixture(autouse=True)
def handled() -> Iterator[None]:
    """SIGINT has a handler here, as in the command (session.py): a child then does not begin by ignoring it.

    Tests that run in the background of a script ignore it, and what they start would until it has a handler.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def command(tmp_path: Path) -> StoppableCommand:
    """A CLI that waits for its signal when told so, else ends at once."""
    path = tmp_path / "cli"
    path.write_text(_ENDS_ON_A_SIGNAL)
    path.chmod(0o755)
    return StoppableCommand(path, VersionInfo(3, 200, 0), {"PATH": os.environ["PATH"]})


def _stop_when_ready(command: StoppableCommand, stop: str, folder: Path) -> None:
    with pytest.raises(CommandError):
        command.run(
            ["wait"],
            str(folder),
            {},
            on_output=lambda _line: threading.Thread(target=getattr(command, stop)).start(),
        )


def test_after_a_halt_the_next_run_runs(command: StoppableCommand, tmp_path: Path) -> None:
    _stop_when_ready(command, "halt", tmp_path)
    assert command.halted
    assert not command.interrupted
    assert command.run(["at-once"], str(tmp_path), {}).code == 0


def test_after_an_interrupt_nothing_is_begun_any_more(command: StoppableCommand, tmp_path: Path) -> None:
    _stop_when_ready(command, "interrupt", tmp_path)
    assert command.interrupted
    with pytest.raises(CommandError):
        command.run(["wait"], str(tmp_path), {})


@contextmanager
def _at_a_signal(command: StoppableCommand, stop: str) -> Iterator[None]:
    """Stop the command in the handler of SIGTERM, as Ctrl-C does it."""
    before = signal.signal(signal.SIGTERM, lambda *_: getattr(command, stop)())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("stop", ["halt", "interrupt"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_stop_while_it_is_being_started_reaches_it(
    command: StoppableCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: str, when: str
) -> None:
    start = subprocess.Popen

    def signalled(*args: Any, **given: Any) -> Any:
        """The signal comes in the thread that starts it, before or after there is a child."""
        if when == "before":
            signal.raise_signal(signal.SIGTERM)
            assert command.running
        process = start(*args, **given)
        if when == "after":
            signal.raise_signal(signal.SIGTERM)
        return process

    monkeypatch.setattr(subprocess, "Popen", signalled)
    with _at_a_signal(command, stop), pytest.raises(CommandError):
        command.run(["wait"], str(tmp_path), {})
    assert not command.running
