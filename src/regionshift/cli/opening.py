"""What every command works with, from what the person chose."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from regionshift.cli.options import Choices
from regionshift.cli.show import screen_of
from regionshift.wiring import Skip, Wired, surroundings, wire


@contextmanager
def opened(
    choices: Choices,
    *,
    locked: bool = False,
    skip: Skip = (),
    rejoining: Collection[str] = (),
    naming: Collection[str] = (),
) -> Iterator[Wired]:
    """As `wire`, with what ``choices`` says of settings, endpoint and a held lock.

    Damage of the state that is no obstacle, or was mended, is said at the end.
    """
    with wire(
        choices.config,
        choices.overrides,
        surroundings(),
        endpoint=choices.endpoint,
        locked=locked,
        force=choices.force,
        skip=skip,
        rejoining=rejoining,
        naming=naming,
    ) as wired:
        try:
            yield wired
        finally:
            for sentence in (*wired.journal.damage, *wired.environment.engine.mended):
                screen_of(stderr=True).print(f"warning: {sentence}", style="yellow")
