"""The options that every command shares, and what they add up to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from regionshift.journal.lock import Holder
    from regionshift.settings.config import MigrationConfig


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
Force = Annotated[bool, typer.Option("--force", help="Break a lock, once its owner is shown and you agree.")]
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
    may_force: bool = False

    @property
    def force(self) -> Callable[[Holder, MigrationConfig], None] | None:
        """What shows a lock's holder and asks whether to break it; None when ``--force`` was not given."""
        if not self.may_force:
            return None
        from regionshift.cli.forcing import ask_before_breaking

        return ask_before_breaking(self)

    @property
    def overrides(self) -> dict[str, object]:
        """Settings given as options, by dotted path."""
        return {"target": self.target, "account": self.account}
