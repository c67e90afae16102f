"""What every command has: the shared options that it names, as one value, and a log of what it does."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from typing import Any, TypeVar

from regionshift.cli.options import SHARED, Choices
from regionshift.errors import InputError
from regionshift.machine import disk_trouble

_Done = TypeVar("_Done")


def takes(names: Sequence[str]) -> Callable[[Callable[..., _Done]], Callable[..., _Done]]:
    """A decorator: the command takes the shared options ``names``, and gets them as its parameter ``choices``.

    The help lists them where that parameter stands. One that the command declares itself, by the same name, stays as
    and where it is declared, and is in ``choices`` too.
    """

    def declare(command: Callable[..., _Done]) -> Callable[..., _Done]:
        declared = inspect.signature(command, eval_str=True).parameters
        own = [parameter for name, parameter in declared.items() if name != "choices"]
        place = list(declared).index("choices")
        shared = [_parameter(name) for name in names if name not in declared]
        in_choices = [parameter.name for parameter in own if parameter.name in SHARED] + [
            parameter.name for parameter in shared
        ]

        @functools.wraps(command)
        def run(**given: Any) -> _Done:
            choices = Choices(**{name: _plain(given[name]) for name in in_choices})
            with _logged(choices, command.__name__):
                return command(
                    **{parameter.name: given[parameter.name] for parameter in own}, choices=choices
                )

        listed = [*own[:place], *shared, *own[place:]]
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # what inspect, and Typer, look at
            [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in listed]
        )
        return run

    return declare


@contextmanager
def _logged(choices: Choices, command: str) -> Iterator[None]:
    """Around a command: what it does is logged as ``choices`` say.

    Raises:
        InputError: the file for it cannot be written.
    """
    if not choices.verbose and choices.log_file is None:
        yield
        return
    from regionshift import __version__, logs
    from regionshift.cli.show import console_for_log

    with ExitStack() as stack:
        listening = logs.listening(
            choices.verbosity,
            choices.log_file,
            console_for_log(choices).print,
            command=command,
            pid=os.getpid(),
        )
        try:
            stack.enter_context(listening)
        except OSError as error:
            raise _unwritable(error) from error
        with logs.timed("command", name=command, version=__version__):
            yield


def _unwritable(error: OSError) -> InputError:
    what, remedy = disk_trouble(error) or (error.strerror, "give a file in a folder that is there")
    return InputError(
        f"The log cannot be written: {what}.", where=f"--log-file {error.filename}", remedy=remedy
    )


def _parameter(name: str) -> inspect.Parameter:
    default = Choices.__dataclass_fields__[name].default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=SHARED[name])


def _plain(value: object) -> Any:
    return value.value if isinstance(value, StrEnum) else value
