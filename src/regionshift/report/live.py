"""Progress: a line for work of one kind, a view of a run. In a log both are lines, at least every 15 s."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
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


class _MovingView(ABC):
    """A live line at a terminal; in a log a line now and then says that the work continues. A context manager."""

    def __init__(self, screen: Screen, clock: Callable[[], float], heartbeat: Heartbeat, **how: Any) -> None:
        self._screen = screen
        self._clock = clock
        self._began = clock()
        self._heartbeat = heartbeat
        self._live = Live(get_renderable=self._render, console=screen, refresh_per_second=4, **how)

    def __enter__(self) -> Self:
        self._heartbeat.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._heartbeat.__exit__()
        self._live.stop()

    @property
    def _elapsed(self) -> str:
        return duration(self._clock() - self._began)

    @abstractmethod
    def _render(self) -> RenderableType:
        """The picture as it is now."""


class Activity(_MovingView):
    """Work of one kind, in one line. Short work is not shown.

    Args:
        what: the work, as "planning". clock: seconds, monotonic. soon, silence: see `Heartbeat`.
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
        self._what = what
        self._now = ""
        heartbeat = Heartbeat(self._tell, soon=soon, silence=silence)
        super().__init__(screen, clock, heartbeat, transient=True, redirect_stdout=False)

    def now(self, text: str) -> None:
        """What is done at this moment."""
        self._now = text

    @property
    def line(self) -> str:
        """The work, since when, and what is done at this moment."""
        return "  ".join(filter(None, [self._what, self._elapsed, self._now]))

    def _tell(self) -> None:
        if self._screen.is_live:
            self._live.start()  # once more is nothing
        else:
            self._screen.print(f"… {self.line}", style="dim")

    def _render(self) -> Text:
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


NEWS_STYLES = {"started": "bold", "success": "green", "error": "red"}
_MARKS = {
    "": ("·", "dim"),
    "before": ("…", "cyan"),
    "after": ("✓", "green"),
    "failed": ("✗", "red"),
}


@dataclass(frozen=True)
class CourseStep:
    """One step of a run.

    Args:
        name: unique in its run.
        phase: its column, by region; empty for a step that is a row, or a step of all regions together.
        regions: its regions; none for all. wave: its number; None without a wave.
        back: it rolls something back. meaning: its work, for a step that is a row.
    """

    name: str
    phase: str = ""
    regions: tuple[str, ...] = ()
    wave: int | None = None
    back: bool = False
    meaning: str = ""


@dataclass
class _Work:
    """The progress of a step in one region: done, total, and the work under way.

    The engine reports a replaced resource three times, and it counts once: ``ended`` holds URNs.
    """

    done: int = 0
    total: int = 0
    failed: int = 0
    ended: set[str] = field(default_factory=set)
    now: dict[str, str] = field(default_factory=dict)
    began: float | None = None
    ended_at: float | None = None

    @property
    def is_done(self) -> bool:
        """Whether nothing is left, as far as that was known beforehand."""
        return 0 < self.total <= self.done and not self.failed

    @property
    def said(self) -> str:
        """How much of how much."""
        return f"{self.done:,}/{max(self.total, self.done):,}" if self.total else f"{self.done:,}"


@dataclass
class _Told:
    """What is known of a step: ``state`` is as `_MARKS` has it; times are by the view's clock."""

    state: str = ""
    began: float | None = None
    took: float | None = None
    said: str = ""
    work: dict[str, _Work] = field(default_factory=dict)


class CourseView(_MovingView):
    """A run: what was done where, what is being done, what comes next, and at the end how long each step took.

    Regions down and phases across where its steps have phases, else a line a step. A log gets a line as a step begins
    and ends, its regions first, and the whole at the end.

    Args:
        title: the run in words. clock: seconds, monotonic. totals: how many resources change, {region or '': n}.
    """

    def __init__(
        self,
        screen: Screen,
        title: str,
        clock: Callable[[], float],
        totals: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._title = title
        self._totals = totals
        self._guard = threading.RLock()
        self._steps: dict[str, CourseStep] = {}
        self._course: tuple[str, ...] = ()
        self._told: dict[str, _Told] = {}
        self._current: CourseStep | None = None
        self._until: float | None = None
        self._watching = ""
        self._ended = False
        super().__init__(screen, clock, Heartbeat(self._tell_plainly))

    def __exit__(self, *_: object) -> None:
        self._ended, self._current = True, None
        super().__exit__()
        if not self._screen.is_live and self._told:
            self._screen.print(self._render())

    @property
    def screen(self) -> Screen:
        """Where the view is; lines that are printed there stand above it."""
        return self._screen

    @property
    def has_ended(self) -> bool:
        """Whether this is the last picture, which stays and may be as long as it is."""
        return self._ended

    def pause(self) -> None:
        """Nothing moves under a question."""
        self._live.stop()

    def course(self, steps: Iterable[CourseStep]) -> None:
        """The steps of the present direction, those that are done included; the way back comes below the way there."""
        with self._guard:
            found = {step.name: step for step in steps}
            self._steps |= found
            self._course = tuple(found)

    def told(self, step: CourseStep, phase: str, said: str = "") -> None:
        """Take note of one step: ``phase`` is as `_MARKS` has it, or ``earlier``; ``said``: how it ended."""
        with self._guard:
            self._steps.setdefault(step.name, step)
            told = self._told.setdefault(step.name, _Told())
            told.state, told.said = ("after", "earlier") if phase == "earlier" else (phase, said)
            self._until, self._watching = None, ""
            self._current = step if phase == "before" else None
            if phase == "before":
                told.began = self._clock()
            elif told.began is not None:
                told.took = self._clock() - told.began
        if self._screen.is_live:
            self._live.start()  # once more is nothing
        elif phase != "earlier":
            took = f"  {duration(told.took)}" if told.took is not None and phase != "before" else ""
            mark, style = _MARKS[phase]
            text = f"  {about}" if (about := self._about(step)) else ""
            self._screen.print(Text(f"{_named(step.regions)}: {mark} {step.name}{text}{took}", style))

    def resource(self, phase: str, region: str | None, urn: str, what: str) -> None:
        """Take note of one resource that the present step changes: ``phase`` is started, done or failed."""
        with self._guard:
            if (work := self._at(region)) is None:
                return
            if phase == "started":
                work.now[urn] = what
                work.ended.discard(urn)
                work.began = self._clock() if work.began is None else work.began
            else:
                work.now.pop(urn, None)
                work.ended_at = self._clock()
                work.failed += phase == "failed"
                work.ended |= {urn} if phase == "done" else set()
            work.done = len(work.ended)

    def doing(
        self, region: str | None, what: str, *, done: int = 0, total: int = 0, left: float | None = None
    ) -> None:
        """What the present step is at, how much of how much is done, and the seconds that it still takes."""
        with self._guard:
            self._until = None if left is None else self._clock() + left
            if region is None:
                self._watching = what
            elif (work := self._at(region)) is not None:
                work.done, work.total, work.now = done, total, {"": what}

    def lines(self, most: int | None) -> Iterator[RenderableType]:
        """The view in at most ``most`` lines: the sum, the present step, a table with failures first, the next step."""
        with self._guard:
            rows = self._rows()
            ranks = {row: self._rank(row) for row in rows}
            yield Text(
                f"{self._title}  {self._sum(ranks)}  {self._elapsed}",
                "bold",
                no_wrap=True,
                overflow="ellipsis",
            )
            if self._current is not None and self._has_phases:
                now, took = self._current, self._took(self._told[self._current.name])
                doing = "  ".join([f"{now.name} ({_named(now.regions)})", took, *self._left()])
                yield Text(f"now:  {doing}", "cyan", no_wrap=True, overflow="ellipsis")
            room = None if most is None else most - 4  # sum, now, next, heads
            if room is not None and len(rows) > room:
                shown = sorted(rows, key=ranks.__getitem__)[: max(room - 1, 1)]
            else:
                shown = sorted(rows, key=lambda row: self._has_phases and ranks[row] != _FAILED)
            yield self._table(shown) if self._has_phases else self._step_table(shown)
            if rest := [ranks[row] for row in rows if row not in shown]:
                yield Text(
                    f"… and {len(rest)} more: {rest.count(_DONE)} done, {len(rest) - rest.count(_DONE)} not yet",
                    "dim",
                )
            if self._has_phases and (coming := self._coming()):
                yield Text(f"next: {coming}", "dim", no_wrap=True, overflow="ellipsis")

    def _tell_plainly(self) -> None:
        """In a log: what some regions are at, then the step and how far the whole is."""
        with self._guard:
            step = self._current
            if self._screen.is_live or step is None:
                return
            for region, work in self._busy()[:_MOST_TOLD] if self._has_phases else ():
                now = next(reversed(work.now.values()))
                self._screen.print(Text(f"{_named([region])}: … {step.name}  {work.said}  {now}", "dim"))
            whole = self._sum({row: self._rank(row) for row in self._rows()}) if self._totals else ""
            parts = [step.name, self._took(self._told[step.name]), *self._left(), self._about(step), whole]
            self._screen.print(Text(f"{_named(step.regions)}: … {'  '.join(filter(None, parts))}", "dim"))

    def _render(self) -> RenderableType:
        return _Frame(self)

    def _at(self, region: str | None) -> _Work | None:
        """The present step's work in ``region``; None between two steps."""
        if self._current is None:
            return None
        total = 0 if self._current.back else self._totals.get(region or "", 0)
        return self._told[self._current.name].work.setdefault(region or "", _Work(total=total))

    def _busy(self) -> list[tuple[str, _Work]]:
        work = self._told[self._current.name].work if self._current else {}
        return [(region, each) for region, each in work.items() if each.now]

    @property
    def _has_phases(self) -> bool:
        return any(step.phase for step in self._steps.values())

    def _rows(self) -> list[str]:
        """Regions in the order in which they come, or the names of steps, the way back last."""
        if not self._has_phases:
            return sorted(self._steps, key=lambda name: self._steps[name].back)
        regions = dict.fromkeys(r for step in self._steps.values() if step.phase for r in step.regions)
        everywhere = any("" in told.work for told in self._told.values())
        return [*regions, *([""] if everywhere else [])]

    def _sum(self, ranks: Mapping[str, int]) -> str:
        counts, kind = Counter(ranks.values()), "regions" if self._has_phases else "steps"
        of = len([row for row in ranks if row if self._has_phases or not self._steps[row].back])
        said = f"{counts[_DONE] - (ranks.get('') == _DONE)} of {of} {kind} done"
        said += f", {counts[_FAILED]} failed" if counts[_FAILED] else ""
        said += f", {counts[_BACK]} rolled back" if counts[_BACK] else ""
        if total := sum(self._totals.values()):
            forward = [told for name, told in self._told.items() if not self._steps[name].back]
            done = sum(work.done for told in forward for work in told.work.values())
            said += f", {done:,} of {max(total, done):,} resources"
        return said

    def _left(self) -> list[str]:
        """How long the present step still takes, where that is known, and what it looks at."""
        left = [] if self._until is None else [f"{duration(max(0.0, self._until - self._clock()))} left"]
        return [*left, *([self._watching] if self._watching else [])]

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

    def _state_in(self, step: CourseStep, region: str) -> str:
        """The same in one region, which may be done, or failed, before the others of its step are."""
        told = self._told.get(step.name, _Told())
        work = told.work.get(region, _Work())
        if work.failed:
            return "failed"
        if told.state == "before" and told.work:
            return "after" if work.is_done else "before" if region in told.work else ""
        if told.state == "failed" and any(each.failed for each in told.work.values()):
            return "after" if work.is_done else ""
        return told.state

    def _of(self, region: str) -> list[CourseStep]:
        return [
            step
            for step in self._steps.values()
            if step.phase and (region in step.regions or region in self._told.get(step.name, _Told()).work)
        ]

    def _rank(self, row: str) -> int:
        """How much it matters: failed, under way, rolled back, not begun, done."""
        steps = self._of(row) if self._has_phases else [self._steps[row]]
        states = [self._state_in(step, row) if self._has_phases else self._state(step.name) for step in steps]
        if "failed" in states:
            return _FAILED
        if "before" in states:
            return _WORKING
        if any(step.back and state == "after" for step, state in zip(steps, states, strict=True)):
            return _BACK
        return _DONE if all(state == "after" for state in states) else _WAITING

    def _table(self, regions: Sequence[str]) -> Table:
        phases = list(dict.fromkeys(step.phase for step in self._steps.values() if step.phase))
        waves = any(step.wave is not None for step in self._steps.values())
        busy = dict(self._busy())
        table = Table(box=None, pad_edge=False)
        for column in ("region", *(["wave"] if waves else []), *phases):
            table.add_column(column, no_wrap=True)
        if busy:
            table.add_column("now", no_wrap=True, overflow="ellipsis")
        for region in regions:
            steps = self._of(region)
            wave = next((str(step.wave) for step in steps if step.wave is not None), "")
            cells = [self._cell(steps, phase, region) for phase in phases]
            now = next(reversed(busy[region].now.values()), "") if region in busy else ""
            table.add_row(
                Text(region or "all regions"),
                *([Text(wave, "dim")] if waves else []),
                *cells,
                *([Text(now, "dim")] if busy else []),
            )
        return table

    def _cell(self, steps: Sequence[CourseStep], phase: str, region: str) -> Text:
        step = next((step for step in reversed(steps) if step.phase == phase), None)
        if step is None:
            return Text("")
        told = self._told.get(step.name, _Told())
        work, state = told.work.get(region), self._state_in(step, region)
        mark, style = _MARKS[state]
        if work is not None and state != "after":
            return Text(f"{mark} {work.said}", style)
        return Text(f"{mark} {took}" if state and (took := self._took(told, work)) else mark, style)

    def _took(self, told: _Told, work: _Work | None = None) -> str:
        """Since when, or how long it took; in one region from the first resource to the last."""
        if work is not None and work.began is not None and work.ended_at is not None:
            return duration(work.ended_at - work.began)
        if told.state == "before" and told.began is not None:
            return duration(self._clock() - told.began)
        return "" if told.took is None else duration(told.took)

    def _step_table(self, names: Sequence[str]) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False)
        for _ in range(3):
            table.add_column(no_wrap=True)
        table.add_column(overflow="ellipsis")
        for name in names:
            told = self._told.get(name, _Told())
            mark, style = _MARKS[told.state]
            took = self._took(told) if told.state else ""
            about = [self._about(self._steps[name]), *(self._left() if told.state == "before" else [])]
            # Whole at the end; until then a line each, so that nothing jumps.
            text = Text(
                "  ".join(about), no_wrap=not self._ended, overflow="fold" if self._ended else "ellipsis"
            )
            table.add_row(Text(mark, style), name, Text(took, "dim"), text)
        return table

    def _about(self, step: CourseStep) -> str:
        """Of a step that is a row: what it does, or how far it is, and how it ended."""
        told = self._told.get(step.name, _Told())
        if told.state != "before" or not told.work or self._has_phases:
            return "  ".join(filter(None, [step.meaning, told.said]))
        work = told.work.values()
        whole = _Work(sum(each.done for each in work), sum(each.total for each in work))
        return "  ".join([whole.said, *[what for each in work for what in each.now.values()][-1:]])


@dataclass(frozen=True)
class _Frame:
    """One picture of a view, as high as the terminal allows."""

    view: CourseView

    def __rich_console__(self, _: Any, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield from self.view.lines(None if self.view.has_ended else options.max_height)


_FAILED, _WORKING, _BACK, _WAITING, _DONE = range(5)
_MOST_TOLD = 3


def _named(regions: Sequence[str]) -> str:
    return listed([region for region in regions if region], most=_MOST_TOLD) or "all regions"


def said_in_words(said: Mapping[str, object]) -> str:
    """What the journal keeps of a step's end, as a person reads it in a line."""
    if "error" in said:
        return str(said["error"])
    if "warning" in said:
        return "NOT ALL OF IT: see the warning"
    shown = {name: value for name, value in said.items() if name not in _NOT_SHOWN}
    parts = [_phrase(name, value) for name, value in shown.items() if value not in (None, {}, [], 0)]
    return ", ".join(part for part in parts if part)


_NOT_SHOWN = ("results", "execution", "throughput")  # the report and the record have them
_NAMELESS = ("counts", "status")
_COUNTED = {"checks": "checks passed", "changed": "changed", "roles": "roles"}


def _phrase(name: str, value: object) -> str:
    if name in _COUNTED:
        return f"{_value(value)} {_COUNTED[name]}"
    if isinstance(value, Mapping) and name == "replication_seconds":
        return ", ".join(f"replicated to {region} in {seconds:.2f} s" for region, seconds in value.items())
    if isinstance(value, Mapping):
        return (
            " ".join([*([] if name in _NAMELESS else [name]), inner])
            if (inner := said_in_words(value))
            else ""
        )
    if isinstance(value, int | float):
        if name.endswith("seconds"):
            return f"replicated in {value:.2f} s" if name.startswith("replication") else f"{value:.1f} s"
        return size(value) if name == "bytes" else f"{value} {name}"
    return _value(value) if name in _NAMELESS else f"{name} {_value(value)}"


def _value(value: object) -> str:
    return f"{len(value)}" if isinstance(value, list) else str(value)
