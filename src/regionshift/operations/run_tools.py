"""The tools that the steps of any run use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from regionshift.journal.journal import Journal
from regionshift.operations.environment import Environment
from regionshift.operations.migrations.carrying import Carrying
from regionshift.operations.preflight import Machine
from regionshift.releases import ReleaseCatalog
from regionshift.report.values import Finding
from regionshift.settings.config import MigrationConfig

Loader = Callable[[str], MigrationConfig]
"""Reads the text of a settings file as the command would, with its variables and options."""


@dataclass(frozen=True)
class RunTools:
    """Parts of the session for the steps of a run.

    Args:
        settings: the file. load: reads a text as if it were the file. carrying: opens the tools of migrations.
        clock: seconds, monotonic. tell: shows findings.
    """

    environment: Environment
    catalog: ReleaseCatalog
    journal: Journal
    machine: Machine
    settings: Path
    load: Loader
    carrying: Callable[[], AbstractContextManager[Carrying]]
    clock: Callable[[], float]
    tell: Callable[[Sequence[Finding]], None]
