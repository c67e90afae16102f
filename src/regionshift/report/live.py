"""What goes on and since when: one moving line, or the table of an engine run; in a log a line now and then."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from rich.console import ConsoleOptions, RenderableType
from rich.live import Live
from rich.table import Table

from regionshift.report.printer import Screen, Text
from regionshift.report.terminal import duration, size

SOON_S = 0.5
SILENCE_S = 15.0


class Heartbeat:
    """Calls ``beat`` in a thread of its own, after ``soon`` seconds and then every ``silence``. A context manager."""

    def __init__(
        self, beat: Callable[[], None], *, soon: float = SILENCE_S, silence: float = SILENCE_S
    ) -> None:
        self._beat = beat
        self._soon = soon
        self._silence = silence
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        wait = self._soon
        while not self._ended.wait(wait):
            self._beat()
            wait = self._silence


class Activity:
    """One phase of a command. A context manager; what takes no time is not told.

    Args:
        what: the phase, as "planning". clock: seconds, monotonic. soon, silence: as `Heartbeat` has them.
    """

    def __init__(
        self,
        screen: Screen,
        what: str,
        clock: Callable[[], float],
        *,
        soon: float = SOON_S,
        silence: float = SILENCE_S,
    ) -> None:
        self._screen = screen
        self._what = what
        self._clock = clock
        self._began = clock()
        self._now = ""
        self._until: float | None = None
        self._heartbeat = Heartbeat(self._tell, soon=soon, silence=silence)
        self._live = Live(
            get_renderable=self._moving,
            console=screen,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
        )

    def __enter__(self) -> Activity:
        self._heartbeat.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._heartbeat.__exit__()
        self._live.stop()

    def now(self, text: str) -> None:
        """What is done at this moment."""
        self._now = text

    def ends_in(self, seconds: float) -> None:
        """How long it takes from now on; what is left is counted down."""
        self._until = self._clock() + seconds

    @property
    def line(self) -> str:
        """What goes on, since when, and how long still."""
        parts = [f"{self._what}  {duration(self._clock() - self._began)}"]
        if self._until is not None:
            parts.append(f"{duration(max(0.0, self._until - self._clock()))} left")
        return "  ".join([*parts, self._now] if self._now else parts)

    def _tell(self) -> None:
        if self._screen.is_live:
            self._live.start()  # once more is nothing
        else:
            self._screen.print(f"… {self.line}", style="dim")

    def _moving(self) -> Text:
        return Text(self.line, "dim", no_wrap=True, overflow="ellipsis")


class WatchView:
    """A picture that is drawn again in place, cut to what the terminal holds; in a log one after the other.

    A context manager.

    Args:
        picture: gives it, for so many lines.
    """

    def __init__(self, screen: Screen, picture: Callable[[int], RenderableType]) -> None:
        self._screen = screen
        self._picture = picture
        self._live = Live(console=screen, auto_refresh=False, screen=True, vertical_overflow="crop")

    def __enter__(self) -> WatchView:
        if self._screen.is_live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._screen.is_live:
            self._live.stop()
            self._screen.print(self._picture(0))

    def show(self) -> None:
        """Draw it."""
        if self._screen.is_live:
            self._live.update(self._picture(self._screen.height), refresh=True)
        else:
            self._screen.print(self._picture(0))


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


class _MovingView(ABC):
    """Moves at a terminal, and says now and then that it is alive where there is none. A context manager."""

    def __init__(self, console: Screen, per_second: int) -> None:
        """Last of a view's own: it is rendered at once."""
        self._console = console
        self._heartbeat = Heartbeat(self._tell_plainly)
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=per_second)

    def __enter__(self) -> Self:
        if self._console.is_live:
            self._live.start()
        else:
            self._heartbeat.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_live:
            self._live.stop()
        else:
            self._heartbeat.__exit__()

    @abstractmethod
    def _tell_plainly(self) -> None:
        """Say how far it is."""

    @abstractmethod
    def _render(self) -> RenderableType:
        """The picture as it is now."""


class LiveView(_MovingView):
    """Follows steps as they begin and end. Without a terminal it prints a line a region.

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
        self._title = title
        self._clock = clock
        self._began = clock()
        self._rows = {region: _Row(total=totals.get(region, 0)) for region in [*regions, ""]}
        self._guard = threading.Lock()
        self._ended = False
        super().__init__(console, 5)

    def __exit__(self, *_: object) -> None:
        self._ended = True
        super().__exit__()
        if not self._console.is_live:
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


NEWS_STYLES = {"started": "bold", "success": "green", "error": "red"}
_MARKS = {
    "": ("·", "dim"),
    "before": ("…", "cyan"),
    "after": ("✓", "green"),
    "failed": ("✗", "red"),
}


class StepsView(_MovingView):
    """Follows the steps of a run. Without a terminal it prints a line a step.

    Args:
        meanings: what each step does, in the order of the steps. clock: seconds, monotonic.
    """

    def __init__(
        self, console: Screen, title: str, meanings: Mapping[str, str], clock: Callable[[], float]
    ) -> None:
        self._title = title
        self._rows: dict[str, tuple[str, str, str]] = {
            name: ("", meaning, "") for name, meaning in meanings.items()
        }
        self._clock = clock
        self._began: dict[str, float] = {}
        super().__init__(console, 4)

    def _tell_plainly(self) -> None:
        for step, (phase, _, _) in list(self._rows.items()):
            if phase == "before":
                self._console.print(f"… {step}  {self._since(step)}")

    def _since(self, step: str) -> str:
        return duration(self._clock() - self._began.get(step, self._clock()))

    def told(self, step: str, phase: str, said: Mapping[str, object]) -> None:
        """Take note of one step."""
        if phase == "before":
            self._began[step] = self._clock()
        meaning = self._rows.get(step, ("", "", ""))[1] or "taken back"
        self._rows[step] = (phase, meaning, said_in_words(said))
        if not self._console.is_live:
            self._console.print(_line(step, *self._rows[step]))

    @property
    def console(self) -> Screen:
        """Where the table is shown; lines that are printed there stand above it."""
        return self._console

    def news(self, summary: str, status: str, *, of_step: bool) -> None:
        """What the topics are told too; the end of a step stands in the table already."""
        if not of_step:
            # A terminal gets whole words; a log gets the line as it is.
            self._console.print(Text(summary, style=NEWS_STYLES[status]))

    def done_before(self, steps: Sequence[str]) -> None:
        """Take note of what an earlier process did."""
        for step in steps:
            self._rows[step] = ("after", self._rows.get(step, ("", "taken back", ""))[1], "earlier")

    def _render(self) -> RenderableType:
        table = Table(title=self._title, title_justify="left", box=None, pad_edge=False, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column()
        table.add_column(style="dim")
        for step, (phase, meaning, said) in self._rows.items():
            mark, style = _MARKS[phase]
            table.add_row(
                Text(mark, style=style), step, meaning, self._since(step) if phase == "before" else said
            )
        return table


def _line(step: str, phase: str, meaning: str, said: str) -> Text:
    mark, style = _MARKS[phase]
    return Text(f"{mark} {step:<18} {meaning}{'  ' + said if said else ''}", style=style)


def said_in_words(said: Mapping[str, object]) -> str:
    """What the journal keeps of a step's end, as a person reads it in a line."""
    if "error" in said:
        return str(said["error"])
    if "warning" in said:
        return "NOT ALL OF IT: see the warning"
    shown = {name: value for name, value in said.items() if name != _WHOLE_ANSWERS}
    parts = [_phrase(name, value) for name, value in shown.items() if value not in (None, {}, [], 0)]
    return ", ".join(part for part in parts if part)


_WHOLE_ANSWERS = "results"  # of checks; the report has them
_COUNTED = {"checks": "checks passed", "changed": "changed", "roles": "roles"}


def _phrase(name: str, value: object) -> str:
    if name in _COUNTED:
        return f"{_value(value)} {_COUNTED[name]}"
    if isinstance(value, Mapping):
        return f"{name} {inner}" if (inner := said_in_words(value)) else ""
    if isinstance(value, int | float):
        if name.endswith("seconds"):
            return f"replicated in {value:.2f} s" if name.startswith("replication") else f"{value:.1f} s"
        return size(value) if name == "bytes" else f"{value} {name}"
    return f"{name} {_value(value)}"


def _value(value: object) -> str:
    return f"{len(value)}" if isinstance(value, list) else str(value)
