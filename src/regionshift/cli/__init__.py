"""The command `regionshift`: what a person types and sees. Nothing heavy is imported before it is used."""

from __future__ import annotations

import os
import signal
import sys

from regionshift.cli.startup import settle
from regionshift.machine import collect_garbage_less


def main() -> None:
    """Run the command line and leave with its exit code."""
    settle(os.environ, (sys.stdout, sys.stderr))
    collect_garbage_less()
    from regionshift.cli.app import app
    from regionshift.cli.failure import run

    code = run(app, sys.argv[1:])
    # What is left is Python's own end: one more Ctrl-C in it would take the place of the exit code.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)
