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
    InputError,
    Interrupted,
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
        if code == EXIT_INTERRUPTED:  # Typer makes it of Ctrl-C, without a word
            raise KeyboardInterrupt
    except RegionshiftError as error:
        code = error.exit_code_after(changes)
        _show(error, code, as_json=as_json)
        return code
    except KeyboardInterrupt:
        remedy = "`regionshift status` names what is not finished, and the command that continues it"
        _show(Interrupted("Interrupted.", remedy=remedy), EXIT_INTERRUPTED, as_json=as_json)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output stopped reading (`| head`); nothing is wrong with the work.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except OSError as error:
        told = _of_disk(error)
        if told is None:
            return _unforeseen(error, verbose=_is_verbose(arguments), as_json=as_json)
        _show(told, told.exit_code, as_json=as_json)
        return told.exit_code
    except Exception as error:  # noqa: BLE001 - the last place where a defect of ours can become a sentence
        if isinstance(error, typer.Abort):
            done = "what was done before the question stays" if changes.begun else "nothing was changed"
            _show(Interrupted(f"Not confirmed; {done}."), EXIT_INTERRUPTED, as_json=as_json)
            return EXIT_INTERRUPTED
        return _unforeseen(error, verbose=_is_verbose(arguments), as_json=as_json)
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
    return WorkFailed(
        f"A file could not be used: {what}.", where=where, remedy=remedy, error_id="RS-FILE-001"
    )


def _unforeseen(error: Exception, *, verbose: bool, as_json: bool) -> int:
    message = getattr(error, "format_message", None)
    if message is not None:  # an error of the command line itself: it knows its text and its exit code
        return _of_command_line(error, message(), as_json=as_json)
    shown = WorkFailed(
        f"{type(error).__name__}: {error}",
        remedy="run the command again with -v to see where; this is a defect of regionshift",
        error_id="RS-INTERNAL-001",
    )
    if verbose and not as_json:
        shown.remedy = None
        _show(shown, EXIT_FAILED, as_json=False)
        _say(*without_credentials("".join(traceback.format_exception(error))).rstrip("\n").split("\n"))
    else:
        _show(shown, EXIT_FAILED, as_json=as_json)
    return EXIT_FAILED


def _of_command_line(error: Exception, message: str, *, as_json: bool) -> int:
    context = getattr(error, "ctx", None)
    if context is not None and message == context.get_help():  # a group's name alone asks for its help
        _say(*context.get_help().split("\n"))
        return EXIT_INPUT
    code = int(getattr(error, "exit_code", EXIT_INPUT))
    command = context.command_path if context is not None else "regionshift"
    told = InputError(message, where=command, remedy=f"{command} --help", error_id="RS-USAGE-001")
    _show(told, code, as_json=as_json)
    return code


def _show(error: RegionshiftError, code: int, *, as_json: bool) -> None:
    if not error.message:
        return
    mistakes = getattr(error, "mistakes", ())
    if as_json:
        from regionshift.cli.show import print_json

        fields = {
            "id": error.error_id,
            "message": error.message,
            "where": error.where,
            "remedy": error.remedy,
        }
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
        *([f"  more: regionshift explain {error.error_id}"] if error.error_id else []),
    ]
