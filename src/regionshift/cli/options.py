"""The options that every command shares, and what they add up to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

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
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before changing something.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more on standard error.")]
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint", envvar="REGIONSHIFT_ENDPOINT", help="Address of an embedded AWS; loopback only."
    ),
]
Account = Annotated[
    str | None, typer.Option("--account", help="The account that must be behind the credentials.")
]
Force = Annotated[bool, typer.Option("--force", help="Break a lock whose owner is certainly dead.")]
DataLoss = Annotated[
    bool, typer.Option("--allow-data-loss", help="Allow deleting or replacing what holds data.")
]
Refresh = Annotated[
    bool, typer.Option("--refresh", help="Read everything back first, so that changes by hand are put back.")
]
DEFAULT_CONFIG = Path("regionshift.yaml")


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
    force: bool = False

    @property
    def overrides(self) -> dict[str, object]:
        """Settings given as options, by dotted path."""
        return {"target": self.target, "account": self.account}
