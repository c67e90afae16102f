"""A stopped CLI: one stop ends one run, a person's stop ends all that would follow."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
from pulumi.automation.errors import CommandError
from semver import VersionInfo

from regionshift.engine.cli import StoppableCommand

# Python, as a shell cannot catch what its parent ignores: a job in the background of a script ignores SIGINT.
_ENDS_ON_A_SIGNAL = f"""#!{sys.executable}
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(7))
print("ready", flush=True)
if sys.argv[2] == "wait":
    time.sleep(60)
"""


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
