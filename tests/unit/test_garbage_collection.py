"""A process of ours looks for garbage seldom, and not once more when it ends."""

from __future__ import annotations

import subprocess
import sys

from regionshift.machine import THRESHOLDS

# What is registered first runs last.
PROCESS = """
import atexit, gc
atexit.register(lambda: print(gc.get_threshold(), gc.get_freeze_count() > 1000))
{}
"""


def end_of(command: str) -> str:
    """What a process that did ``command`` says of its collector when it ends."""
    code = PROCESS.format(command)
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    ).stdout.splitlines()[-1]


def test_nothing_is_looked_at_once_more_at_the_end() -> None:
    """Not even when the process is left by an exit code."""
    command = (
        "from regionshift.machine import collect_garbage_less; collect_garbage_less(); raise SystemExit(3)"
    )
    assert end_of(command) == f"{THRESHOLDS} True"


def test_the_command_does_so() -> None:
    """Whatever it was asked."""
    asked = (
        "import sys; sys.argv = ['regionshift', '--version']; from regionshift.cli import command; command()"
    )
    assert end_of(asked) == f"{THRESHOLDS} True"
