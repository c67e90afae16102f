"""Printing: tables to standard output, or JSON there and words to standard error."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.console import Console

from regionshift.cli.options import Choices
from regionshift.errors import Refused
from regionshift.report.terminal import make_console


def console(choices: Choices) -> Console:
    """Where words go: with --json standard output belongs to the JSON alone."""
    return make_console(stderr=choices.as_json)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2, default=str))


class NotConfirmed(Refused):
    """A person was asked, and did not say yes."""


def confirm(choices: Choices, question: str) -> None:
    """Ask, unless --yes was given.

    Raises:
        Refused: the answer is no, or nobody is there to be asked.
    """
    if choices.yes:
        return
    _require_person()
    if not typer.confirm(question, err=choices.as_json):
        raise NotConfirmed("Not confirmed; nothing was changed.")


def confirm_by_name(choices: Choices, name: str) -> None:
    """Ask for ``name`` to be typed, unless --yes was given. Raises as :func:`confirm`."""
    if choices.yes:
        return
    _require_person()
    if typer.prompt(f"Type the environment's name ({name}) to go on", err=choices.as_json) != name:
        raise NotConfirmed("That is not its name; nothing was changed.")


def person_is_there() -> bool:
    """Whether somebody is at the terminal who can be asked."""
    import sys

    return sys.stdin.isatty()


def _require_person() -> None:
    if not person_is_there():
        raise Refused(
            "This changes something, and nobody is there to confirm it.",
            remedy="look at what it changes (it is listed without --json), then give --yes",
        )
