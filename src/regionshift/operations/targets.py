"""What a wave may touch, its regions and nothing else: given to the engine as targets, and checked in what it does."""

from __future__ import annotations

from collections.abc import Collection

from regionshift.engine.engine import Engine, Listener
from regionshift.engine.events import ResourceStep, StepProgress

_LINKS = "regionshift:infrastructure:Links"
_REGION = "regionshift:infrastructure:Region"


def targets_of(regions: Collection[str]) -> list[str]:
    """The engine's targets for everything of ``regions`` (``**`` stands for any text in a URN)."""
    return [
        pattern
        for region in regions
        for pattern in (
            f"urn:pulumi:**::{_REGION}**::*-{region}",
            f"urn:pulumi:**::pulumi:providers:aws::aws-{region}",
        )
    ]


def link_targets() -> list[str]:
    """The engine's targets for what joins regions."""
    return [f"urn:pulumi:**::{_LINKS}**"]


def is_link(urn: str) -> bool:
    """Whether a resource joins regions."""
    return f"::{_LINKS}" in urn


def home_of(urn: str, regions: Collection[str]) -> str | None:
    """The region, of ``regions``, that a resource belongs to; None for a link and for everything else."""
    if is_link(urn):
        return None
    return next((region for region in regions if urn.endswith(f"-{region}")), None)


class Guard:
    """Follows an engine run and stops it when it begins to change something outside its reach.

    Args:
        regions: what may change, or with ``links`` what joins regions. everywhere: all the regions that there are.
        listener: is told everything too.

    ``outside``: the changes that were begun and may not be. ``strayed``: the regions in which they were.
    """

    def __init__(
        self,
        engine: Engine,
        regions: Collection[str],
        everywhere: Collection[str],
        listener: Listener | None,
        *,
        links: bool = False,
    ) -> None:
        self._engine = engine
        self._regions = regions
        self._everywhere = everywhere
        self._listener = listener
        self._links = links
        self.outside: list[ResourceStep] = []
        self.strayed: set[str] = set()
        self.touched: set[str] = set()

    def __call__(self, progress: StepProgress) -> None:
        step = progress.step
        if step.changes:
            self._look(step)
        if self._listener:
            self._listener(progress)

    def _look(self, step: ResourceStep) -> None:
        home = home_of(step.urn, self._regions)
        if home is not None and not self._links:
            self.touched.add(home)
        elif not (self._links and is_link(step.urn)):
            self.outside.append(step)
            self.strayed.update(filter(None, [home_of(step.urn, self._everywhere)]))
            self._engine.halt()
