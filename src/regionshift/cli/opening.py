"""What every command works with, from what the person chose."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager

from regionshift.cli.options import Choices
from regionshift.wiring import Skip, Wired, surroundings, wire


def opened(
    choices: Choices,
    *,
    locked: bool = False,
    skip: Skip = (),
    rejoining: Collection[str] = (),
    naming: Collection[str] = (),
) -> AbstractContextManager[Wired]:
    """As `wire`, with what ``choices`` says of settings, endpoint and a held lock."""
    return wire(
        choices.config,
        choices.overrides,
        surroundings(),
        endpoint=choices.endpoint,
        locked=locked,
        force=choices.force,
        skip=skip,
        rejoining=rejoining,
        naming=naming,
    )
