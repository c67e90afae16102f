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
# Signs of tables that some terminals lack, and the plain signs that stand for them there.
_SIGNS = {
    "✓": "+",
    "✗": "x",
    "–": "-",
    "…": "~",
    "→": ">",
    "·": ".",
    "×": "x",
}


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
        except OSError:  # the output is lost, as on a full disk
            code = code or EXIT_FAILED
    os._exit(code)


def command() -> int:
    """Run the command line of this process; returns its exit code."""
    settle(os.environ, (sys.stdout, sys.stderr))
    collect_garbage_less()
    from regionshift.cli.app import app
    from regionshift.cli.failure import run

    return run(app, sys.argv[1:])


def settle(variables: MutableMapping[str, str], streams: Iterable[object]) -> None:
    """Prepare this process and, through ``variables``, the processes that it starts. Called once, before all else."""
    variables.update(without_proxy(variables))
    variables.update(_warnings_told(variables))
    # No warning of a library may end a command: whoever runs it cannot fix the library.
    warnings.filters[:] = [  # type: ignore[index]  # typeshed calls the list a sequence
        ("ignore", *each[1:]) if each[0] == _ERROR else each for each in warnings.filters
    ]
    codecs.register_error(_PLAIN_SIGNS, _in_plain_signs)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_PLAIN_SIGNS)


def without_proxy(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that keep requests to this machine from a proxy, with the hosts that they had before.

    The engine, its program and the embedded AWS speak over loopback. Readers of these variables differ: gRPC reads
    only lower case, and ``no_grpc_proxy`` before ``no_proxy`` (gRPC, "Environment Variables"). Go reads upper case
    first (net/http ProxyFromEnvironment). So both spellings get all hosts.
    """
    held = [host for name in ("no_proxy", "NO_PROXY") for host in _hosts(variables.get(name, ""))]
    both = ",".join(dict.fromkeys([*held, *LOOPBACK]))
    found = {"no_proxy": both, "NO_PROXY": both}
    if "no_grpc_proxy" in variables:  # then gRPC does not read the others
        own = [*_hosts(variables["no_grpc_proxy"]), *LOOPBACK]
        found["no_grpc_proxy"] = ",".join(dict.fromkeys(own))
    return found


def _in_plain_signs(error: UnicodeError) -> tuple[str, int]:
    """Replace each sign that the terminal's encoding lacks by a plain one as wide, or by a `?`."""
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
