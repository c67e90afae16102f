"""The command `regionshift`: what a person types and sees. Nothing heavy is imported before it is used."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from regionshift.cli.startup import settle
from regionshift.errors import EXIT_FAILED
from regionshift.machine import collect_garbage_less


def main() -> NoReturn:
    """Run the command line and leave with its exit code.

    All is done and written down by then, so Python's own end is left out: it could only spoil the exit code, as when
    one of gRPC's threads wakes up while the interpreter is taken down (a segmentation fault).
    """
    code = command()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for stream in filter(None, (sys.stdout, sys.stderr)):  # one that was closed before we began is None
        try:
            stream.flush()
        except BrokenPipeError:  # whoever read it is gone
            continue
        except OSError:  # what was said is lost, as on a full disk
            code = code or EXIT_FAILED
    os._exit(code)


def command() -> int:
    """Run the command line of this process; gives its exit code."""
    settle(os.environ, (sys.stdout, sys.stderr))
    collect_garbage_less()
    from regionshift.cli.app import app
    from regionshift.cli.failure import run

    return run(app, sys.argv[1:])
