"""The commands about another primary, each a few lines: parse, and call what shows the result."""

from __future__ import annotations

from typing import Annotated

import typer

from regionshift.cli.command import takes
from regionshift.cli.options import CHANGE, Choices, DataLoss

PlanOnly = Annotated[bool, typer.Option("--plan-only", help="Show the plan, change nothing.")]


def add_commands(app: typer.Typer) -> None:
    """Give ``app`` the commands of this module."""
    app.command()(promote)
    app.command()(move)


@takes(CHANGE)
def promote(
    region: Annotated[str, typer.Argument(help="The secondary that becomes the primary.")],
    choices: Choices,
    plan_only: PlanOnly = False,
    source_lost: Annotated[
        bool, typer.Option("--source-lost", help="The primary is gone: do not call it, and fence it.")
    ] = False,
) -> int:
    """Make a secondary the primary: last copy, settings, replication turned round; taken back if a step fails."""
    from regionshift.cli.promoting import run_promote

    return run_promote(choices, region, lost=source_lost, plan_only=plan_only)


@takes(CHANGE)
def move(
    source: Annotated[str, typer.Option("--from", help="The primary.", metavar="REGION")],
    to: Annotated[str, typer.Option("--to", help="The region that takes its place.", metavar="REGION")],
    choices: Choices,
    retire: Annotated[
        bool, typer.Option("--retire", help="Afterwards take the old region down; asked for apart.")
    ] = False,
    allow_data_loss: DataLoss = False,
) -> int:
    """Move the environment: up in the new region, migrate, promote it, and retire the old one if asked."""
    from regionshift.cli.moving import run_move

    return run_move(choices, source, to, retire=retire, allow_data_loss=allow_data_loss)
