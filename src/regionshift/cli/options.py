"""The options that commands share, and their values as one object."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class TargetName(StrEnum):
    """Which AWS."""

    aws = "aws"
    local = "local"


def _duration(given: str | float) -> float:
    """The seconds of a duration as it is typed. Raises BadParameter when it is none."""
    from regionshift.settings.fields import parse_duration

    try:
        return parse_duration(given) if isinstance(given, str) else given
    except ValueError:
        raise typer.BadParameter(f"{given!r} is no duration such as 90s, 10m or 1h30m") from None


Config = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="REGIONSHIFT_CONFIG", help="The settings file.", metavar="FILE"),
]
Target = Annotated[
    TargetName | None, typer.Option("--target", help="The real AWS, or the embedded one on this machine.")
]
Account = Annotated[
    str | None, typer.Option("--account", help="The AWS account that the credentials must be of.")
]
DataLoss = Annotated[
    bool, typer.Option("--allow-data-loss", help="Allow deleting or replacing what holds data.")
]
Broadening = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-broadening",
        envvar="REGIONSHIFT_ALLOW_BROADENING",
        metavar="ID",
        help="Allow the new rights that the plan shows with this id; repeat for more.",
    ),
]
Refresh = Annotated[
    bool,
    typer.Option(
        "--refresh", help="Read everything back from AWS first, so that changes by hand are undone."
    ),
]
DEFAULT_CONFIG = Path("regionshift.yaml")
# By the name of the field of `Choices` that each becomes.
SHARED: dict[str, Any] = {
    "config": Config,
    "target": Target,
    "endpoint": Annotated[
        str | None,
        typer.Option(
            "--endpoint",
            envvar="REGIONSHIFT_ENDPOINT",
            help="The address of an embedded AWS, on this machine only.",
        ),
    ],
    "account": Account,
    "as_json": Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")],
    "yes": Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before changing something.")],
    "quiet": Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only the result, errors and questions.")
    ],
    "verbosity": Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            show_default=False,
            help="Show whole tables, and log the steps to standard error; -vv logs all.",
        ),
    ],
    "log_file": Annotated[
        Path | None,
        typer.Option("--log-file", help="Log everything to this file, as JSON lines.", metavar="FILE"),
    ],
    "lock_timeout": Annotated[
        float,
        typer.Option(
            "--lock-timeout",
            parser=_duration,
            help="How long to wait while another run holds the lock, such as 15m.",
            metavar="DURATION",
            show_default="not at all",
        ),
    ],
    "may_force": Annotated[
        bool, typer.Option("--force", help="Break the lock of another run. Shows its owner and asks first.")
    ],
}
_ALWAYS = ("as_json", "yes", "quiet", "verbosity", "log_file")
MACHINE = ("config", *_ALWAYS)
"""For a command about this machine."""
ENVIRONMENT = ("config", "target", "endpoint", "account", *_ALWAYS)
"""For a command that looks at an environment."""
SETTINGS = ("config", "target", "account", *_ALWAYS)
"""For a command that the settings alone answer."""
CHANGE = (*ENVIRONMENT, "lock_timeout", "may_force")
"""For a command that takes an environment's lock."""


@dataclass(frozen=True)
class Choices:
    """The values of the shared options, before any file is read."""

    config: Path = DEFAULT_CONFIG
    target: str | None = None
    endpoint: str | None = None
    account: str | None = None
    as_json: bool = False
    yes: bool = False
    quiet: bool = False
    verbosity: int = 0
    log_file: Path | None = None
    lock_timeout: float = 0.0
    may_force: bool = False

    @property
    def verbose(self) -> bool:
        """Whether to show whole tables."""
        return self.verbosity > 0

    @property
    def overrides(self) -> dict[str, object]:
        """Settings given as options, by dotted path."""
        return {"target": self.target, "account": self.account}
