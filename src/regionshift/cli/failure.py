"""Errors as a person or a pipeline sees them, and the exit codes."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence

import typer

from regionshift.errors import EXIT_FAILED, EXIT_INPUT, EXIT_INTERRUPTED, EXIT_OK, RegionshiftError


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run the command line; every error is shown once and becomes an exit code.

    0 done, 1 the work failed, 2 the input is wrong, 3 refused by a guard, 130 interrupted.
    """
    as_json = "--json" in arguments
    try:
        code = app(list(arguments), standalone_mode=False)
    except RegionshiftError as error:
        _show(error, as_json=as_json)
        return error.exit_code
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        print(
            "  next: `regionshift status` says what is not finished and what goes on with it", file=sys.stderr
        )
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output stopped reading (`| head`); nothing is wrong with the work.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:  # noqa: BLE001 - the last place where a defect of ours can become a sentence
        if isinstance(error, typer.Abort):
            print("Not confirmed; nothing was changed.", file=sys.stderr)
            return EXIT_INTERRUPTED
        return _unforeseen(error, verbose="-v" in arguments or "--verbose" in arguments)
    return code if isinstance(code, int) else EXIT_OK


def _unforeseen(error: Exception, *, verbose: bool) -> int:
    shower = getattr(error, "show", None)
    if shower is not None:  # an error of the command line itself: it knows its text and its exit code
        shower()
        return int(getattr(error, "exit_code", EXIT_INPUT))
    print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
    if verbose:
        traceback.print_exception(error)
    else:
        print(
            "  next: run the command again with -v to see where; this is a defect of regionshift",
            file=sys.stderr,
        )
    return EXIT_FAILED


def _show(error: RegionshiftError, *, as_json: bool) -> None:
    if as_json:
        fields = {"message": error.message, "where": error.where, "remedy": error.remedy}
        mistakes = [vars(each) for each in getattr(error, "mistakes", ())]
        findings = [vars(each) for each in getattr(error, "findings", ())]
        content = {
            "error": {**fields, "exit_code": error.exit_code, "mistakes": mistakes, "findings": findings}
        }
        print(json.dumps(content, indent=2, default=str))
        return
    print(f"error: {error.message}", file=sys.stderr)
    if error.where:
        print(f"  where: {error.where}", file=sys.stderr)
    if error.remedy:
        print(f"  next: {error.remedy}", file=sys.stderr)
    for note in getattr(error, "__notes__", ()):
        print(f"  also: {note}", file=sys.stderr)
