"""What every command works with, from what the person chose."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, nullcontext

from regionshift.cli.failure import changes_of_this_command
from regionshift.cli.options import Choices
from regionshift.cli.show import screen_of, working
from regionshift.wiring import Skip, Wired, surroundings, wire


@contextmanager
def opened(
    choices: Choices,
    *,
    locked: bool = False,
    skip: Skip = (),
    rejoining: Collection[str] = (),
    naming: Collection[str] = (),
    unsealed: bool = False,
) -> Iterator[Wired]:
    """As `wire`, with what ``choices`` says of settings, endpoint and a held lock.

    Damage of the state that is no obstacle, or was mended, is said at the end.
    """
    wiring = wire(
        choices.config,
        choices.overrides,
        surroundings(),
        endpoint=choices.endpoint,
        locked=locked,
        force=choices.force,
        skip=skip,
        rejoining=rejoining,
        naming=naming,
        changing=changes_of_this_command().begin,
        unsealed=unsealed,
    )
    with ExitStack() as stack:
        # A lock that is to be broken is asked about, and nothing moves under a question.
        with nullcontext() if choices.may_force else working(choices, "reading settings and state"):
            wired = stack.enter_context(wiring)
        try:
            yield wired
        finally:
            for sentence in (*wired.journal.damage, *wired.environment.engine.mended):
                screen_of(stderr=True).print(f"warning: {sentence}", style="yellow")
