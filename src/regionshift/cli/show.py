"""Printing and asking: tables to standard output, or JSON there and words to standard error."""

from __future__ import annotations

import json
import os
import shlex
import sys
import termios
import textwrap
import time
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import typer

from regionshift.cli.options import Choices
from regionshift.errors import Refused
from regionshift.report.live import Activity
from regionshift.report.plan_view import plan_parts
from regionshift.report.printer import Screen, escaped
from regionshift.report.values import Plan

if TYPE_CHECKING:
    from regionshift.settings.config import MigrationConfig


def console(choices: Choices) -> Screen:
    """The screen for text: standard output, or standard error with --json."""
    return screen_of(stderr=choices.as_json)


def aside(choices: Choices, *, asks: bool = False) -> Screen:
    """The screen for progress and details: as `console`, with --quiet none.

    Args:
        asks: a question follows that is answered by it; then it is hidden only with --yes too.
    """
    is_hidden = choices.quiet and (choices.yes or not asks)
    return _silent() if is_hidden else console(choices)


@cache
def _silent() -> Screen:
    return Screen(quiet=True, is_plain=True)


@cache
def screen_of(*, stderr: bool) -> Screen:
    """The screen of standard output or standard error: one each, because a live view must know every line.

    There is no live view in a log (CI), or without colours (https://no-color.org).
    """
    is_plain = any(os.environ.get(name) for name in ("CI", "NO_COLOR"))
    return Screen(stderr=stderr, is_plain=is_plain)


def console_for_log(choices: Choices) -> Screen:
    """The screen for lines of the log: standard error.

    If both are terminals, it is the screen of standard output, which can print a line above a moving view.
    """
    screen, errors = console(choices), screen_of(stderr=True)
    return screen if screen.is_live and errors.is_live else errors


def print_json(value: Any, indent: int | None = 2) -> None:
    """One JSON document on standard output, in ASCII: what is no visible character is written as ``\\u001b``.

    Args:
        indent: None for one line.
    """
    print(json.dumps(value, indent=indent, default=str), flush=True)


def print_for_shell(variables: Mapping[str, str], *, unset: tuple[str, ...] = ()) -> None:
    """Lines that a shell evaluates: ``unset`` and ``export``; a value is exact, and visible characters only.

    In bytes, as the file system has them: what the terminal's encoding lacks would become another path.
    """
    lines = [f"unset {' '.join(unset)}"] if unset else []
    lines += [f"export {name}={_shell_word(value)}" for name, value in variables.items()]
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode("\n".join(lines) + "\n"))
    sys.stdout.buffer.flush()


def _shell_word(value: str) -> str:
    """``value`` quoted for a POSIX shell, and as ``$'…'`` where it holds what is not visible (POSIX.1-2024, 2.2.4)."""
    if escaped(value) == value:
        return shlex.quote(value)
    kept = os.fsencode(value)
    return "$'" + "".join(chr(b) if 32 <= b < 127 and b not in b"\\'" else f"\\{b:03o}" for b in kept) + "'"


def working(choices: Choices, what: str) -> Activity:
    """A context manager that shows that ``what`` is under way; on standard error if standard output is no terminal."""
    screen = aside(choices)
    return Activity(
        screen if screen.is_live or choices.quiet else screen_of(stderr=True), what, time.monotonic
    )


def show_plan(choices: Choices, plan: Plan) -> None:
    """A plan with its findings; with --json nothing, as its end has them, with --quiet only where it is asked about."""
    if choices.as_json:
        return
    screen = console(choices) if plan.errors else aside(choices, asks=True)
    for part in plan_parts(plan, whole=choices.verbose):
        screen.print(part)


class NotConfirmed(Refused):
    """The answer to the question was not yes."""

    error_id = "RS-USAGE-002"


def confirm(choices: Choices, question: str, config: MigrationConfig) -> None:
    """Ask, unless --yes was given; the question names the environment, its account and the target.

    Raises:
        Refused: the answer is no, or nobody is there to be asked.
    """
    if choices.yes:
        return
    _require_person()
    if not ask(choices, question, config):
        raise NotConfirmed(
            "Not confirmed; nothing was changed.",
            remedy="to make the change, run the command again and answer y",
        )


def ask(choices: Choices, question: str, config: MigrationConfig) -> bool:
    """Ask at the terminal until the answer is yes or no. Text that was typed before the question is dropped."""
    while True:
        answer = _answer(choices, f"{_about(config)}{question} [y/N]", default="").strip()
        if answer.lower() in ("y", "yes"):
            return True
        if answer.lower() in ("", "n", "no"):
            return False
        console(choices).print(f"{answer!r} is neither yes nor no: type y or n; Enter alone means no.")


def confirm_by_name(choices: Choices, config: MigrationConfig) -> None:
    """Ask for the environment's name to be typed, unless --yes was given. Raises as :func:`confirm`."""
    if choices.yes:
        return
    _require_person()
    name = config.suffix
    answer = _answer(choices, f"{_about(config)}Type the environment's name ({name}) to continue")
    if answer != name:
        raise NotConfirmed(
            f"{answer!r} is not the name of this environment; nothing was changed.",
            remedy=f"run the command again and type {name}",
        )


def _answer(choices: Choices, question: str, default: str | None = None) -> str:
    forget_typed()
    text, screen = escaped(question), screen_of(stderr=choices.as_json)
    if screen.is_terminal:  # which would fold a long line wherever it ends
        room = screen.width - len(": ")
        text = "\n".join(textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False))
    try:
        said: str = typer.prompt(text, default=default, show_default=False, err=choices.as_json)
    except typer.Abort:
        screen.print("")  # Ctrl-C leaves the cursor behind the question
        raise
    return said


def _about(config: MigrationConfig) -> str:
    return f"{config.suffix} (account {config.account}, target {config.target}): "


def forget_typed() -> None:
    """Drop what waits to be read at the terminal (termios(3), tcflush)."""
    if person_is_there():
        termios.tcflush(sys.stdin, termios.TCIFLUSH)


def person_is_there() -> bool:
    """Whether somebody is at the terminal who can be asked."""
    return sys.stdin.isatty()


def _require_person() -> None:
    if not person_is_there():
        raise Refused(
            "This changes something, and nobody is there to confirm it: standard input is no terminal.",
            remedy="look at the plan first, then add --yes",
            error_id="RS-USAGE-002",
        )
