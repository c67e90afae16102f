"""The commands about deployments and releases, each a few lines: parse, and call what shows the result."""

from __future__ import annotations

from typing import Annotated

import typer

from regionshift.cli.options import (
    DEFAULT_CONFIG,
    Account,
    AsJson,
    Choices,
    Config,
    Endpoint,
    Force,
    Target,
    TargetName,
    Verbose,
    Yes,
)
from regionshift.errors import InputError


def add_commands(app: typer.Typer) -> None:
    """Give ``app`` the commands of this module."""
    for command in (releases, diff, history, status, drift, resume):
        app.command()(command)


def releases(
    config: Config = DEFAULT_CONFIG,
    target: Target = None,
    endpoint: Endpoint = None,
    account: Account = None,
    as_json: AsJson = False,
    yes: Yes = False,
    verbose: Verbose = False,
) -> int:
    """List the kept releases, the newest first, and where each runs."""
    from regionshift.cli.deployments import run_releases

    return run_releases(_chosen(config, target, endpoint, account, as_json=as_json, yes=yes, verbose=verbose))


def diff(
    one: Annotated[str, typer.Argument(help="A release; six characters of it are enough.")],
    other: Annotated[str, typer.Argument(help="Another.")],
    config: Config = DEFAULT_CONFIG,
    target: Target = None,
    endpoint: Endpoint = None,
    account: Account = None,
    as_json: AsJson = False,
    yes: Yes = False,
    verbose: Verbose = False,
) -> int:
    """Show what differs from one release to another; of secrets only that they differ."""
    from regionshift.cli.deployments import run_diff

    choices = _chosen(config, target, endpoint, account, as_json=as_json, yes=yes, verbose=verbose)
    return run_diff(choices, one, other)


def history(
    config: Config = DEFAULT_CONFIG,
    target: Target = None,
    endpoint: Endpoint = None,
    account: Account = None,
    as_json: AsJson = False,
    yes: Yes = False,
    verbose: Verbose = False,
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

    choices = _chosen(config, target, endpoint, account, as_json=as_json, yes=yes, verbose=verbose)
    if seal:
        return run_seal(choices)
    return run_history(choices, limit)


def status(
    migration_id: Annotated[str | None, typer.Argument(help="A migration, or a run of it.")] = None,
    config: Config = DEFAULT_CONFIG,
    target: Target = None,
    endpoint: Endpoint = None,
    account: Account = None,
    as_json: AsJson = False,
    yes: Yes = False,
    verbose: Verbose = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Look whether everything is as the migration wrote it. Reads only."),
    ] = False,
) -> int:
    """Say which release every region has, and what is not finished. Exit code 1 when all is not well."""
    choices = _chosen(config, target, endpoint, account, as_json=as_json, yes=yes, verbose=verbose)
    if migration_id is not None:
        from regionshift.cli.migrations import run_migration_status

        return run_migration_status(choices, migration_id, verify=verify)
    if verify:
        raise InputError(
            "--verify needs a migration.", where="status", remedy="regionshift status ID --verify"
        )
    from regionshift.cli.deployments import run_status

    return run_status(choices)


def drift(
    config: Config = DEFAULT_CONFIG,
    target: Target = None,
    endpoint: Endpoint = None,
    account: Account = None,
    as_json: AsJson = False,
    yes: Yes = False,
    verbose: Verbose = False,
    force: Force = False,
) -> int:
    """Say what in the cloud differs from the releases. Changes nothing; exit code 1 when something does."""
    from regionshift.cli.deployments import run_drift

    return run_drift(
        _chosen(config, target, endpoint, account, as_json=as_json, yes=yes, verbose=verbose, force=force)
    )


def resume(
    config: Config = DEFAULT_CONFIG,
    target: Target = None,
    endpoint: Endpoint = None,
    account: Account = None,
    as_json: AsJson = False,
    yes: Yes = False,
    verbose: Verbose = False,
    force: Force = False,
    back: Annotated[bool, typer.Option("--back", help="Take it back instead of finishing it.")] = False,
) -> int:
    """Finish what was stopped or killed (an up, a destroy, a promote, a move, a migrate), or take it back."""
    from regionshift.cli.resuming import run_resume

    choices = _chosen(
        config, target, endpoint, account, as_json=as_json, yes=yes, verbose=verbose, force=force
    )
    return run_resume(choices, back=back)


def _chosen(
    config: Config,
    target: TargetName | None,
    endpoint: str | None,
    account: str | None,
    *,
    as_json: bool,
    yes: bool,
    verbose: bool,
    force: bool = False,
) -> Choices:
    return Choices(config, target.value if target else None, endpoint, account, as_json, yes, verbose, force)
