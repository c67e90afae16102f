"""What the steps of a run work with, whatever kind it is."""

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
    """What belongs to the session that a run's steps are done in.

    Args:
        settings: the file. load: reads a text in its place. carrying: opens how data is carried.
        clock: seconds, monotonic. tell: shows what is found on the way.
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
