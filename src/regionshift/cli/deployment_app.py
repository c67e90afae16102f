"""The commands about deployments and releases, each a few lines: parse, and call what shows the result."""

from __future__ import annotations

from typing import Annotated

import typer

from regionshift.cli.command import takes
from regionshift.cli.options import CHANGE, ENVIRONMENT, Choices
from regionshift.errors import InputError


def add_commands(app: typer.Typer) -> None:
    """Give ``app`` the commands of this module."""
    for command in (releases, diff, history, status, drift, resume):
        app.command()(command)


@takes(ENVIRONMENT)
def releases(choices: Choices) -> int:
    """List the kept releases, the newest first, and where each runs."""
    from regionshift.cli.deployments import run_releases

    return run_releases(choices)


@takes(ENVIRONMENT)
def diff(
    one: Annotated[str, typer.Argument(help="A release; six characters of it are enough.")],
    other: Annotated[str, typer.Argument(help="Another.")],
    choices: Choices,
) -> int:
    """Show what differs from one release to another; of secrets only that they differ."""
    from regionshift.cli.deployments import run_diff

    return run_diff(choices, one, other)


@takes(ENVIRONMENT)
def history(
    choices: Choices,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 20,
    seal: Annotated[
        bool,
        typer.Option(
            "--seal", help="Show the runs that are not sealed with the state's key, ask, and take them."
        ),
    ] = False,
) -> int:
    """List the newest runs, and how each ended."""
    from regionshift.cli.deployments import run_history, run_seal

    if seal:
        return run_seal(choices)
    return run_history(choices, limit)


@takes(ENVIRONMENT)
def status(
    migration_id: Annotated[str | None, typer.Argument(help="A migration, or a run of it.")] = None,
    *,
    choices: Choices,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Look whether everything is as the migration wrote it. Reads only."),
    ] = False,
) -> int:
    """Say which release every region has, and what is not finished. Exit code 1 when all is not well."""
    if migration_id is not None:
        from regionshift.cli.migrations import run_migration_status

        return run_migration_status(choices, migration_id, verify=verify)
    if verify:
        raise InputError(
            "--verify needs a migration.", where="status", remedy="regionshift status ID --verify"
        )
    from regionshift.cli.deployments import run_status

    return run_status(choices)


@takes(CHANGE)
def drift(choices: Choices) -> int:
    """Say what in the cloud differs from the releases. Changes nothing; exit code 1 when something does."""
    from regionshift.cli.deployments import run_drift

    return run_drift(choices)


@takes(CHANGE)
def resume(
    choices: Choices,
    back: Annotated[bool, typer.Option("--back", help="Take it back instead of finishing it.")] = False,
) -> int:
    """Finish what was stopped or killed (an up, a destroy, a promote, a move, a migrate), or take it back."""
    from regionshift.cli.resuming import run_resume

    return run_resume(choices, back=back)
