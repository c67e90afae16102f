"""What goes on and since when: one moving line, or the table of an engine run; in a log a line now and then."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from rich.console import ConsoleOptions, RenderableType
from rich.live import Live
from rich.table import Table

from regionshift.report.folding import listed
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

    @property
    def line(self) -> str:
        """What goes on and since when."""
        parts = [f"{self._what}  {duration(self._clock() - self._began)}"]
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
    began: float | None = None
    ended_at: float | None = None

    @property
    def took(self) -> str:
        """From its first step to the end of its last."""
        return "" if self.began is None or self.ended_at is None else duration(self.ended_at - self.began)

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

    @property
    def console(self) -> Screen:
        """Where the table is shown; lines that are printed there stand above it."""
        return self._console

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
            elapsed = duration(self._clock() - self._began)
            working = {region: row for region, row in self._rows.items() if row.current}
            for region in _first(working, _MOST_TOLD) if working else ():
                row = working[region]
                done = f"{row.done} of {max(row.total, row.done)}"
                now = next(reversed(row.current.values()))
                self._console.print(f"{region or 'all regions'}: {done}, {now}")
            self._console.print(f"{self._title}: {self._total()}, {elapsed}")

    def step(self, phase: str, region: str | None, urn: str, op: str, name: str) -> None:
        """Take note of one step: ``phase`` is started, done or failed."""
        with self._guard:
            row = self._rows.setdefault(region or "", _Row())
            if phase == "started":
                row.current[urn] = f"{op} {name}"
                row.ended.discard(urn)
                row.began = self._clock() if row.began is None else row.began
                return
            row.current.pop(urn, None)
            row.ended_at = self._clock()
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
            yield Text(f"{self._title}  {duration(elapsed)}  {self._total()}", style="bold", no_wrap=True)
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
        if self._ended:
            table.add_column("took", justify="right", no_wrap=True)
        if working:
            table.add_column("now", overflow="ellipsis", no_wrap=True)
        for region, row in rows.items():
            cells: list[RenderableType] = [region or "all regions", f"{row.done}/{max(row.total, row.done)}"]
            if failing:
                cells.append(Text(str(row.failed or "·"), style="red" if row.failed else "dim"))
            if self._ended:
                cells.append(Text(row.took, style="dim"))
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

    view: LiveView | CourseView

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
        self._started = clock()
        self._began: dict[str, float] = {}
        self._took: dict[str, str] = {}
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
        else:
            self._took[step] = self._since(step)
        meaning = self._rows.get(step, ("", "", ""))[1] or "taken back"
        self._rows[step] = (phase, meaning, said_in_words(said))
        if not self._console.is_live:
            took = "" if phase == "before" else f"  {self._took[step]}"
            self._console.print(_line(step, *self._rows[step]).append(took))

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
        done = sum(phase == "after" for phase, _, _ in self._rows.values())
        elapsed = duration(self._clock() - self._started)
        title = Text(f"{self._title}  {done} of {len(self._rows)}  {elapsed}", "italic")
        table = Table(title=title, title_justify="left", box=None, pad_edge=False, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column()
        table.add_column(no_wrap=True, justify="right")
        table.add_column(style="dim")
        for step, (phase, meaning, said) in self._rows.items():
            mark, style = _MARKS[phase]
            took = self._since(step) if phase == "before" else self._took.get(step, "")
            table.add_row(Text(mark, style=style), step, meaning, took, said)
        return table


@dataclass(frozen=True)
class CourseStep:
    """One step of a course.

    Args:
        name: unique in its course. phase: what is done to its regions, the column that it stands in; empty for what is
            about all regions at once. wave: its number; None for none. back: it takes something back.
    """

    name: str
    phase: str
    regions: tuple[str, ...]
    wave: int | None = None
    back: bool = False


@dataclass
class _Told:
    """What is known of a step: ``state`` is as `_MARKS` has it; times are by the view's clock."""

    state: str
    began: float | None = None
    took: float | None = None


class CourseView(_MovingView):
    """Regions down, phases across: what each region does now, what comes next, and at the end how long each took.

    Without a terminal it prints a line as a step begins and ends, its regions first.

    Args:
        title: what goes on. clock: seconds, monotonic.
    """

    def __init__(self, console: Screen, title: str, clock: Callable[[], float]) -> None:
        self._title = title
        self._clock = clock
        self._began = clock()
        self._guard = threading.RLock()
        self._steps: dict[str, CourseStep] = {}
        self._course: tuple[str, ...] = ()
        self._told: dict[str, _Told] = {}
        self._current: CourseStep | None = None
        self._now: dict[str, str] = {}
        self._until: float | None = None
        self._watching = ""
        self._ended = False
        super().__init__(console, 4)

    def __exit__(self, *_: object) -> None:
        self._ended, self._current = True, None
        super().__exit__()
        if not self._console.is_live and self._told:
            self._console.print(self._render())

    def pause(self) -> None:
        """Nothing moves under a question."""
        self._live.stop()

    def course(self, steps: Sequence[CourseStep]) -> None:
        """The steps of the present direction, those that are done included; a way back comes below the way there."""
        with self._guard:
            self._steps |= {step.name: step for step in steps}
            self._course = tuple(step.name for step in steps)

    def told(self, name: str, phase: str) -> None:
        """Take note of one step of the course: as `_MARKS` has it, or ``earlier``."""
        with self._guard:
            step, told = self._steps[name], self._told.setdefault(name, _Told(""))
            told.state = "after" if phase == "earlier" else phase
            self._now, self._until, self._watching = {}, None, ""
            self._current = step if phase == "before" else None
            if phase == "before":
                told.began = self._clock()
            elif told.began is not None:
                told.took = self._clock() - told.began
        if self._console.is_live:
            self._live.start()  # once more is nothing
        elif phase != "earlier":
            took = f"  {duration(told.took)}" if told.took is not None and phase != "before" else ""
            mark, style = _MARKS[phase]
            self._console.print(Text(f"{_named(step.regions)}: {mark} {name}{took}", style))

    def now(self, region: str | None, what: str) -> None:
        """What is done in a region at this moment."""
        with self._guard:
            self._now[region or ""] = what

    def watching(self, seconds: float, what: str) -> None:
        """How long the present step still takes, and what it looks at."""
        with self._guard:
            self._until, self._watching = self._clock() + seconds, what

    def lines(self, most: int | None) -> Iterator[RenderableType]:
        """All of it, in at most ``most`` lines: the sum, what goes on, what failed first, and what comes next."""
        with self._guard:
            regions = self._regions()
            ranks = Counter(map(self._rank, regions))
            said = f"{ranks[_DONE]} of {len(regions)} regions done"
            said += f", {ranks[_FAILED]} failed" if ranks[_FAILED] else ""
            said += f", {ranks[_BACK]} taken back" if ranks[_BACK] else ""
            elapsed = duration(self._clock() - self._began)
            yield Text(f"{self._title}  {said}  {elapsed}", "bold", no_wrap=True, overflow="ellipsis")
            if self._current is not None:
                yield Text(f"now:  {self._doing()}", "cyan", no_wrap=True, overflow="ellipsis")
            room = None if most is None else most - 4  # sum, now, next, heads
            shown = regions
            if room is not None and len(regions) > room:
                shown = sorted(regions, key=self._rank)[: max(room - 1, 1)]
            yield self._table(shown)
            if rest := [region for region in regions if region not in shown]:
                over = sum(self._rank(region) == _DONE for region in rest)
                yield Text(f"… and {len(rest)} more: {over} done, {len(rest) - over} not yet", "dim")
            if coming := self._coming():
                yield Text(f"next: {coming}", "dim", no_wrap=True, overflow="ellipsis")

    @property
    def has_ended(self) -> bool:
        """Whether this is the last picture, which stays and may be as long as it is."""
        return self._ended

    def _tell_plainly(self) -> None:
        with self._guard:
            if self._current is not None:
                self._console.print(
                    Text(f"{_named(self._current.regions)}: … {self._doing(alone=True)}", "dim")
                )

    def _render(self) -> RenderableType:
        return _Frame(self)

    def _doing(self, *, alone: bool = False) -> str:
        """The present step: since when, how long still, and what it is at."""
        step = self._current
        assert step is not None
        began = self._told[step.name].began
        parts = [step.name if alone else f"{step.name} ({_named(step.regions)})"]
        parts += [duration(self._clock() - began)] if began is not None else []
        if self._until is not None:
            parts.append(f"{duration(max(0.0, self._until - self._clock()))} left")
        parts += [self._watching] if self._watching else []
        parts += [next(reversed(self._now.values()))] if alone and self._now else []
        return "  ".join(parts)

    def _coming(self) -> str:
        """The step after the present one, and how many follow it."""
        left = [self._steps[name] for name in self._course if self._state(name) in ("", "before")]
        left = [step for step in left if step != self._current]
        if self._ended or not left:
            return ""
        more = f", then {len(left) - 1} more" if len(left) > 1 else ""
        return f"{left[0].name} ({_named(left[0].regions)}){more}"

    def _state(self, name: str) -> str:
        return self._told[name].state if name in self._told else ""

    def _regions(self) -> list[str]:
        """Those that failed, then the others in the order in which they come."""
        found = dict.fromkeys(r for step in self._steps.values() if step.phase for r in step.regions)
        return sorted(found, key=lambda region: self._rank(region) != _FAILED)

    def _of(self, region: str) -> list[CourseStep]:
        return [step for step in self._steps.values() if step.phase and region in step.regions]

    def _rank(self, region: str) -> int:
        """How much it matters: failed, under way, taken back, not begun, done."""
        steps = self._of(region)
        states = [self._state(step.name) for step in steps]
        if "failed" in states:
            return _FAILED
        if self._current is not None and region in self._current.regions:
            return _WORKING
        if any(step.back and state == "after" for step, state in zip(steps, states, strict=True)):
            return _BACK
        return _DONE if all(state == "after" for state in states) else _WAITING

    def _table(self, regions: Sequence[str]) -> Table:
        phases = list(dict.fromkeys(step.phase for step in self._steps.values() if step.phase))
        table = Table(box=None, pad_edge=False)
        for column in ("region", "wave", *phases):
            table.add_column(column, no_wrap=True)
        if self._now:
            table.add_column("now", no_wrap=True, overflow="ellipsis")
        for region in regions:
            steps = self._of(region)
            wave = next((str(step.wave) for step in steps if step.wave is not None), "")
            cells = [self._cell(steps, phase) for phase in phases]
            now = [Text(self._now.get(region, ""), "dim")] if self._now else []
            table.add_row(Text(region), Text(wave, "dim"), *cells, *now)
        return table

    def _cell(self, steps: Sequence[CourseStep], phase: str) -> Text:
        step = next((step for step in reversed(steps) if step.phase == phase), None)
        if step is None:
            return Text("")
        told = self._told.get(step.name, _Told(""))
        mark, style = _MARKS[told.state]
        took = told.took
        if told.state == "before" and told.began is not None:
            took = self._clock() - told.began
        return Text(f"{mark} {duration(took)}" if took is not None and told.state else mark, style)


_FAILED, _WORKING, _BACK, _WAITING, _DONE = range(5)
_MOST_TOLD = 3


def _named(regions: Sequence[str]) -> str:
    return listed(regions, most=_MOST_TOLD) or "all regions"


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
    if isinstance(value, Mapping) and name == "replication_seconds":
        return ", ".join(f"replicated to {region} in {seconds:.2f} s" for region, seconds in value.items())
    if isinstance(value, Mapping):
        return f"{name} {inner}" if (inner := said_in_words(value)) else ""
    if isinstance(value, int | float):
        if name.endswith("seconds"):
            return f"replicated in {value:.2f} s" if name.startswith("replication") else f"{value:.1f} s"
        return size(value) if name == "bytes" else f"{value} {name}"
    return f"{name} {_value(value)}"


def _value(value: object) -> str:
    return f"{len(value)}" if isinstance(value, list) else str(value)
