"""What the shell completes: regions and runs, as the settings and a state on this machine have them; and ids.

Nothing is asked of AWS, and what cannot be read completes nothing: a shell has no place for an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import typer

from regionshift.cli.options import DEFAULT_CONFIG

_NEWEST = 20


def complete_regions(context: typer.Context, incomplete: str) -> list[str]:
    """The settings' regions that begin with ``incomplete``."""
    return [each for each in _regions(_config(context)) if each.startswith(incomplete)]


def complete_runs(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The newest runs whose id begins with ``incomplete``, each with how it ended."""
    return [each for each in _runs(_config(context)) if each[0].startswith(incomplete)]


def complete_ids(incomplete: str) -> list[str]:
    """What `explain` explains and begins with ``incomplete``, in capitals or not."""
    from regionshift.error_catalogue import CATALOGUE
    from regionshift.iam.findings import RULES
    from regionshift.infrastructure.runbooks import RUNBOOKS

    return [each for each in (*CATALOGUE, *RULES, *RUNBOOKS) if each.lower().startswith(incomplete.lower())]


def _config(context: typer.Context) -> Path:
    return Path(context.params.get("config") or DEFAULT_CONFIG)


def _regions(path: Path) -> tuple[str, ...]:
    from regionshift.errors import RegionshiftError
    from regionshift.session import load_settings
    from regionshift.surroundings import surroundings

    try:
        config = load_settings(path, {}, surroundings())
    except RegionshiftError:
        return ()
    return config.all_regions


def _runs(path: Path) -> Iterator[tuple[str, str]]:
    from regionshift.errors import RegionshiftError
    from regionshift.journal.backends import open_state
    from regionshift.journal.journal import Journal
    from regionshift.session import load_settings
    from regionshift.settings.state_url import parse_state_url
    from regionshift.surroundings import ProjectFiles, surroundings

    outside = surroundings()
    try:
        config = load_settings(path, {}, outside)
        url = config.state or (ProjectFiles(path).home / "state").as_uri()
        if parse_state_url(url).folder is None:
            return
        journal = Journal(open_state(url), config.identity.scope, outside.now)
        for run in journal.history(_NEWEST):
            name = run.subject if run.of_data else run.run_id
            yield name, f"{run.kind}, {run.outcome or 'not finished'}"
    except (RegionshiftError, OSError):
        return
