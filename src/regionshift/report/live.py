"""The live view of an engine run: regions down, counts across, what is being made now, and since when."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table

from regionshift.report.printer import Screen, Text

_SILENCE_S = 15.0


@dataclass
class _Row:
    """One region. A resource that is replaced is told of three times, and counts once: ``ended`` holds URNs."""

    ended: set[str] = field(default_factory=set)
    failed: int = 0
    total: int = 0
    current: dict[str, str] = field(default_factory=dict)

    @property
    def done(self) -> int:
        return len(self.ended)


class LiveView:
    """Follows steps as they begin and end. A context manager; without a terminal it prints a line a region.

    Args:
        totals: how many steps each region expects, {region or '': n}.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        console: Screen,
        title: str,
        regions: Sequence[str],
        totals: dict[str, int],
        clock: Callable[[], float],
    ) -> None:
        self._console = console
        self._title = title
        self._clock = clock
        self._began = clock()
        self._rows = {region: _Row(total=totals.get(region, 0)) for region in [*regions, ""]}
        self._guard = threading.Lock()
        self._told = self._began
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=5, transient=False)

    def __enter__(self) -> LiveView:
        if self._console.is_live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_live:
            self._live.stop()
        else:
            self._console.print(self._render())

    def _tell_plainly(self) -> None:
        """Without a terminal: how far it is, now and then, so that whoever reads a log sees it alive."""
        if self._console.is_live or self._clock() - self._told < _SILENCE_S:
            return
        self._told = self._clock()
        done = sum(row.done for row in self._rows.values())
        total = sum(max(row.total, row.done) for row in self._rows.values())
        current = [what for row in self._rows.values() for what in row.current.values()]
        now = f": {', '.join(current[:3])}" if current else ""
        self._console.print(f"  {self._told - self._began:.0f} s  {done} of {total}{now}")

    def step(self, phase: str, region: str | None, urn: str, op: str, name: str) -> None:
        """Take note of one step: ``phase`` is started, done or failed."""
        with self._guard:
            self._tell_plainly()
            row = self._rows.setdefault(region or "", _Row())
            if phase == "started":
                row.current[urn] = f"{op} {name}"
                row.ended.discard(urn)
                return
            row.current.pop(urn, None)
            if phase == "done":
                row.ended.add(urn)
            else:
                row.failed += 1

    def _render(self) -> RenderableType:
        with self._guard:
            table = Table(box=None, pad_edge=False)
            table.add_column("region", no_wrap=True)
            table.add_column("done", justify="right", no_wrap=True)
            failing = any(row.failed for row in self._rows.values())
            working = any(row.current for row in self._rows.values())
            if failing:
                table.add_column("failed", justify="right", no_wrap=True)
            if working:
                table.add_column("now", overflow="ellipsis", no_wrap=True)
            for region, row in self._rows.items():
                if not (region or row.done or row.failed or row.current):
                    continue
                done = f"{row.done}/{max(row.total, row.done)}"
                cells: list[RenderableType] = [region or "all regions", done]
                if failing:
                    cells.append(Text(str(row.failed or "·"), style="red" if row.failed else "dim"))
                if working:
                    cells.append(Text(next(reversed(row.current.values()), ""), style="dim"))
                table.add_row(*cells)
            elapsed = self._clock() - self._began
            return Group(Text(f"{self._title}  {elapsed:.0f} s", style="bold"), table)
