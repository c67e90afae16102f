"""The live view of an engine run: regions down, counts across, what is being made now, and since when."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import ConsoleOptions, RenderableType
from rich.live import Live
from rich.table import Table

from regionshift.report.activity import Heartbeat
from regionshift.report.printer import Screen, Text


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
        self._ended = False
        self._heartbeat = Heartbeat(self._tell_plainly)
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=5, transient=False)

    def __enter__(self) -> LiveView:
        if self._console.is_live:
            self._live.start()
        else:
            self._heartbeat.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        if self._console.is_live:
            self._live.stop()
        else:
            self._heartbeat.__exit__()
            self._console.print(self._render())

    def _tell_plainly(self) -> None:
        """Without a terminal: how far it is, now and then, so that whoever reads a log sees it alive."""
        with self._guard:
            current = [what for row in self._rows.values() for what in row.current.values()]
            now = f": {', '.join(current[:3])}" if current else ""
            self._console.print(f"  {self._clock() - self._began:.0f} s  {self._total()}{now}")

    def step(self, phase: str, region: str | None, urn: str, op: str, name: str) -> None:
        """Take note of one step: ``phase`` is started, done or failed."""
        with self._guard:
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

    def _total(self) -> str:
        done = sum(row.done for row in self._rows.values())
        failed = sum(row.failed for row in self._rows.values())
        total = sum(max(row.total, row.done) for row in self._rows.values())
        return f"{done} of {total}" + (f", {failed} failed" if failed else "")

    def _render(self) -> RenderableType:
        return _Frame(self)

    def lines(self, most: int | None) -> Iterator[RenderableType]:
        """All of it, in at most ``most`` lines: the sum, what failed, what is under way, and then the rest."""
        with self._guard:
            elapsed = self._clock() - self._began
            yield Text(f"{self._title}  {elapsed:.0f} s  {self._total()}", style="bold", no_wrap=True)
            rows = {
                region: row
                for region, row in self._rows.items()
                if region or row.done or row.failed or row.current
            }
            shown = list(rows) if most is None or len(rows) <= most - 2 else _first(rows, most - 3)
            yield self._table({region: rows[region] for region in shown})
            if rest := [row for region, row in rows.items() if region not in shown]:
                done = sum(row.done >= row.total for row in rest)
                yield Text(f"… and {len(rest)} more: {done} done, {len(rest) - done} not yet", style="dim")

    def _table(self, rows: Mapping[str, _Row]) -> Table:
        table = Table(box=None, pad_edge=False)
        table.add_column("region", no_wrap=True)
        table.add_column("done", justify="right", no_wrap=True)
        failing = any(row.failed for row in self._rows.values())
        working = any(row.current for row in self._rows.values())
        if failing:
            table.add_column("failed", justify="right", no_wrap=True)
        if working:
            table.add_column("now", overflow="ellipsis", no_wrap=True)
        for region, row in rows.items():
            cells: list[RenderableType] = [region or "all regions", f"{row.done}/{max(row.total, row.done)}"]
            if failing:
                cells.append(Text(str(row.failed or "·"), style="red" if row.failed else "dim"))
            if working:
                cells.append(Text(next(reversed(row.current.values()), ""), style="dim"))
            table.add_row(*cells)
        return table

    @property
    def has_ended(self) -> bool:
        """Whether this is the last picture, which stays and may be as long as it is."""
        return self._ended


def _first(rows: Mapping[str, _Row], most: int) -> list[str]:
    """The ``most`` regions that matter most: failed, under way, not begun, done."""

    def rank(region: str) -> int:
        row = rows[region]
        return 0 if row.failed else 1 if row.current else 3 if row.done >= row.total else 2

    return sorted(rows, key=rank)[: max(most, 1)]


@dataclass(frozen=True)
class _Frame:
    """One picture of a view, as high as the terminal allows."""

    view: LiveView

    def __rich_console__(self, _: Any, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield from self.view.lines(None if self.view.has_ended else options.max_height)
