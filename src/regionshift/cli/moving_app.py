"""The commands about another primary, each a few lines: parse, and call what shows the result."""

from __future__ import annotations

from typing import Annotated

import typer

from regionshift.cli.options import (
    DEFAULT_CONFIG,
    Account,
    AsJson,
    Choices,
    Config,
    DataLoss,
    Endpoint,
    Force,
    Target,
    Verbose,
    Yes,
)

PlanOnly = Annotated[bool, typer.Option("--plan-only", help="Show the plan, change nothing.")]


def add_commands(app: typer.Typer) -> None:
    """Give ``app`` the commands of this module."""
    app.command()(promote)
    app.command()(move)


def promote(
    region: Annotated[str, typer.Argument(help="The secondary that becomes the primary.")],
    config: Config = DEFAULT_CONFIG,
    target: Target = None,
    endpoint: Endpoint = None,
    account: Account = None,
    as_json: AsJson = False,
    yes: Yes = False,
    verbose: Verbose = False,
    force: Force = False,
    plan_only: PlanOnly = False,
    source_lost: Annotated[
        bool, typer.Option("--source-lost", help="The primary is gone: do not call it, and fence it.")
    ] = False,
) -> int:
    """Make a secondary the primary: last copy, settings, replication turned round; taken back if a step fails."""
    from regionshift.cli.promoting import run_promote

    chosen = target.value if target else None
    choices = Choices(config, chosen, endpoint, account, as_json, yes, verbose, force)
    return run_promote(choices, region, lost=source_lost, plan_only=plan_only)


def move(
    source: Annotated[str, typer.Option("--from", help="The primary.", metavar="REGION")],
    target: Annotated[str, typer.Option("--to", help="The region that takes its place.", metavar="REGION")],
    config: Config = DEFAULT_CONFIG,
    aws: Target = None,
    endpoint: Endpoint = None,
    account: Account = None,
    as_json: AsJson = False,
    yes: Yes = False,
    verbose: Verbose = False,
    force: Force = False,
    retire: Annotated[
        bool, typer.Option("--retire", help="Afterwards take the old region down; asked for apart.")
    ] = False,
    allow_data_loss: DataLoss = False,
) -> int:
    """Move the environment: up in the new region, migrate, promote it, and retire the old one if asked."""
    from regionshift.cli.moving import run_move

    chosen = aws.value if aws else None
    choices = Choices(config, chosen, endpoint, account, as_json, yes, verbose, force)
    return run_move(choices, source, target, retire=retire, allow_data_loss=allow_data_loss)
