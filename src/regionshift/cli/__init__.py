"""The command `regionshift`: what a person types and sees. Nothing heavy is imported before it is used."""

from __future__ import annotations

import codecs
import io
import os
import signal
import sys
import warnings
from collections.abc import Iterable, Mapping, MutableMapping
from typing import NoReturn

from regionshift.errors import EXIT_FAILED
from regionshift.machine import collect_garbage_less

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ERROR = "error"
_PLAIN_SIGNS = "plain-signs"
# What tables and bars say with signs that not every terminal has must still be told apart there.
_SIGNS = {"✓": "+", "✗": "x", "–": "-", "…": "~", "→": ">", "·": ".", "━": "-", "×": "x", "╸": "-", "╺": "-"}


def main() -> NoReturn:
    """Run the command line and leave with its exit code.

    All work is finished by then, so Python's own end is left out. It could only spoil the exit code: one of gRPC's
    threads may wake up while the interpreter ends (a segmentation fault).
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


def settle(variables: MutableMapping[str, str], streams: Iterable[object]) -> None:
    """Once, before anything else: for this process and, through ``variables``, for those that it starts."""
    variables.update(without_proxy(variables))
    variables.update(_warnings_told(variables))
    # A warning of a library is nothing that a person can mend here, so none may end a command half-way.
    warnings.filters[:] = [  # type: ignore[index]  # typeshed calls the list a sequence
        ("ignore", *each[1:]) if each[0] == _ERROR else each for each in warnings.filters
    ]
    codecs.register_error(_PLAIN_SIGNS, _in_plain_signs)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_PLAIN_SIGNS)


def without_proxy(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that keep what goes to this machine from a proxy; what they held stays in them.

    The engine, its program and the embedded AWS speak over loopback. Of the readers of these variables some know
    one spelling only (gRPC, "Environment Variables": ``grpc_proxy``, ``no_grpc_proxy`` before ``no_proxy``), and
    some the upper case first (Go, net/http ProxyFromEnvironment), so both get all.
    """
    held = [host for name in ("no_proxy", "NO_PROXY") for host in _hosts(variables.get(name, ""))]
    both = ",".join(dict.fromkeys([*held, *LOOPBACK]))
    found = {"no_proxy": both, "NO_PROXY": both}
    if "no_grpc_proxy" in variables:  # where it is set, gRPC does not look at the others
        own = [*_hosts(variables["no_grpc_proxy"]), *LOOPBACK]
        found["no_grpc_proxy"] = ",".join(dict.fromkeys(own))
    return found


def _in_plain_signs(error: UnicodeError) -> tuple[str, int]:
    """For what the terminal's encoding lacks: one plain sign each, so that columns stay as wide; else a `?`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_SIGNS.get(sign, "?") for sign in lacking), error.end


def _hosts(text: str) -> list[str]:
    return [host.strip() for host in text.split(",") if host.strip()]


def _warnings_told(variables: Mapping[str, str]) -> dict[str, str]:
    given = variables.get("PYTHONWARNINGS")
    if not given:
        return {}
    # Python's docs, "Warnings filter", PYTHONWARNINGS: `action:message:category:module:line`, by commas; an action
    # may be cut short.
    told = [
        ":".join(["ignore", *each.split(":")[1:]])
        if (action := each.split(":")[0].strip()) and _ERROR.startswith(action)
        else each
        for each in given.split(",")
    ]
    return {"PYTHONWARNINGS": ",".join(told)}
