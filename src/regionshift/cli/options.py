"""The options that every command shares, and what they add up to."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer


class TargetName(StrEnum):
    """Which AWS."""

    aws = "aws"
    local = "local"


Config = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="REGIONSHIFT_CONFIG", help="The settings file.", metavar="FILE"),
]
Target = Annotated[
    TargetName | None, typer.Option("--target", help="The real AWS, or the one embedded in this machine.")
]
Account = Annotated[
    str | None, typer.Option("--account", help="The account that must be behind the credentials.")
]
DataLoss = Annotated[
    bool, typer.Option("--allow-data-loss", help="Allow deleting or replacing what holds data.")
]
Refresh = Annotated[
    bool, typer.Option("--refresh", help="Read everything back first, so that changes by hand are put back.")
]
DEFAULT_CONFIG = Path("regionshift.yaml")
_Done = TypeVar("_Done")
# By the name of the field of `Choices` that each becomes.
_SHARED: dict[str, Any] = {
    "config": Config,
    "target": Target,
    "endpoint": Annotated[
        str | None,
        typer.Option(
            "--endpoint", envvar="REGIONSHIFT_ENDPOINT", help="Address of an embedded AWS; loopback only."
        ),
    ],
    "account": Account,
    "as_json": Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")],
    "yes": Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before changing something.")],
    "verbose": Annotated[bool, typer.Option("--verbose", "-v", help="Say more on standard error.")],
    "may_force": Annotated[
        bool, typer.Option("--force", help="Break a lock, once its owner is shown and you agree.")
    ],
}
_ALWAYS = ("as_json", "yes", "verbose")
MACHINE = ("config", *_ALWAYS)
"""For a command about this machine."""
ENVIRONMENT = ("config", "target", "endpoint", "account", *_ALWAYS)
"""For a command that looks at an environment."""
CHANGE = (*ENVIRONMENT, "may_force")
"""For a command that takes an environment's lock."""


@dataclass(frozen=True)
class Choices:
    """What the person chose on the command line, before any file is read."""

    config: Path = DEFAULT_CONFIG
    target: str | None = None
    endpoint: str | None = None
    account: str | None = None
    as_json: bool = False
    yes: bool = False
    verbose: bool = False
    may_force: bool = False

    @property
    def overrides(self) -> dict[str, object]:
        """Settings given as options, by dotted path."""
        return {"target": self.target, "account": self.account}


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
        in_choices = [parameter.name for parameter in own if parameter.name in _SHARED] + [
            parameter.name for parameter in shared
        ]

        @functools.wraps(command)
        def run(**given: Any) -> _Done:
            choices = Choices(**{name: _plain(given[name]) for name in in_choices})
            return command(**{parameter.name: given[parameter.name] for parameter in own}, choices=choices)

        listed = [*own[:place], *shared, *own[place:]]
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # what inspect, and Typer, look at
            [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in listed]
        )
        return run

    return declare


def _parameter(name: str) -> inspect.Parameter:
    default = Choices.__dataclass_fields__[name].default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=_SHARED[name])


def _plain(value: object) -> Any:
    return value.value if isinstance(value, StrEnum) else value
