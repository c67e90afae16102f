"""Errors as a person or a pipeline sees them, and the exit codes."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Sequence
from contextvars import ContextVar

import typer

from regionshift.errors import (
    EXIT_FAILED,
    EXIT_INPUT,
    EXIT_INTERRUPTED,
    EXIT_OK,
    Changes,
    RegionshiftError,
    WorkFailed,
    without_credentials,
)
from regionshift.machine import disk_trouble

_CHANGES: ContextVar[Changes] = ContextVar("changes")


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run the command line; every error is shown once and becomes an exit code.

    0 done, 1 the work failed, 2 the input is wrong, 3 refused by a guard, 130 interrupted. 2 and 3 become 1 once the
    command began to change something.
    """
    token = _CHANGES.set(changes := Changes())
    try:
        return _run(app, arguments, changes)
    except KeyboardInterrupt:  # one more, while the end of the command was being told
        return EXIT_INTERRUPTED
    finally:
        _CHANGES.reset(token)


def changes_of_this_command() -> Changes:
    """What the command that `run` runs has done so far; outside of it nobody asks."""
    return _CHANGES.get(None) or Changes()


def _run(app: typer.Typer, arguments: Sequence[str], changes: Changes) -> int:
    as_json = "--json" in arguments
    try:
        code = app(list(arguments), standalone_mode=False)
    except RegionshiftError as error:
        code = error.exit_code_after(changes)
        _show(error, code, as_json=as_json)
        return code
    except KeyboardInterrupt:
        _say(
            "Interrupted.",
            "  next: `regionshift status` says what is not finished and what goes on with it",
        )
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output stopped reading (`| head`); nothing is wrong with the work.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except OSError as error:
        told = _of_disk(error)
        if told is None:
            return _unforeseen(error, verbose=_is_verbose(arguments))
        _show(told, told.exit_code, as_json=as_json)
        return told.exit_code
    except Exception as error:  # noqa: BLE001 - the last place where a defect of ours can become a sentence
        if isinstance(error, typer.Abort):
            done = "what was done before the question stays" if changes.begun else "nothing was changed"
            _say(f"Not confirmed; {done}.")
            return EXIT_INTERRUPTED
        return _unforeseen(error, verbose=_is_verbose(arguments))
    return changes.exit_code(code) if isinstance(code, int) else EXIT_OK


def _is_verbose(arguments: Sequence[str]) -> bool:
    return any(each == "--verbose" or re.fullmatch("-v+", each) for each in arguments)


def _say(*lines: str) -> None:
    """Each on a line of its own, on standard error."""
    from regionshift.cli.show import screen_of

    for line in lines:
        screen_of(stderr=True).print(line)


def _of_disk(error: OSError) -> RegionshiftError | None:
    """What the operating system refused of a file; None when it is about no file."""
    trouble = disk_trouble(error)
    if trouble is None:
        return None
    what, remedy = trouble
    where = str(error.filename) if error.filename is not None else None
    return WorkFailed(f"A file could not be used: {what}.", where=where, remedy=remedy)


def _unforeseen(error: Exception, *, verbose: bool) -> int:
    message = getattr(error, "format_message", None)
    if message is not None:  # an error of the command line itself: it knows its text and its exit code
        context = getattr(error, "ctx", None)
        if context is not None and message() == context.get_help():  # a name alone asks for the help
            _say(*context.get_help().split("\n"))
            return EXIT_INPUT
        if context is not None:
            _say(*context.get_usage().split("\n"), f"Try '{context.command_path} --help' for help.", "")
        _say(f"Error: {message()}")
        return int(getattr(error, "exit_code", EXIT_INPUT))
    _say(f"error: {type(error).__name__}: {without_credentials(str(error))}")
    if verbose:
        _say(*without_credentials("".join(traceback.format_exception(error))).rstrip("\n").split("\n"))
    else:
        _say("  next: run the command again with -v to see where; this is a defect of regionshift")
    return EXIT_FAILED


def _show(error: RegionshiftError, code: int, *, as_json: bool) -> None:
    mistakes = getattr(error, "mistakes", ())
    if as_json:
        from regionshift.cli.show import print_json

        fields = {"message": error.message, "where": error.where, "remedy": error.remedy}
        findings = [vars(each) for each in getattr(error, "findings", ())]
        content = {
            "error": {
                **fields,
                "exit_code": code,
                "mistakes": [vars(each) for each in mistakes],
                "findings": findings,
            }
        }
        print_json(content)
        return
    _say(*error_lines(error))


def error_lines(error: RegionshiftError) -> list[str]:
    """What happened, where, and what to do next; each a line, which a text from outside may still try to end."""
    mistakes = getattr(error, "mistakes", ())
    # The mistakes of the settings stand in their message, each on a line of its own.
    said = error.message.partition("\n")[0] if mistakes else error.message
    return [
        f"error: {said}",
        *(f"  {mistake}" for mistake in mistakes),
        *([f"  where: {error.where}"] if error.where else []),
        *([f"  next: {error.remedy}"] if error.remedy else []),
        *(f"  also: {note}" for note in getattr(error, "__notes__", ())),
    ]
