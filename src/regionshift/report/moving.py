"""A change of primary for a person: one table of its steps, live, and what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.console import RenderableType
from rich.live import Live
from rich.table import Table

from regionshift.report.live import Heartbeat
from regionshift.report.migrations import duration, size
from regionshift.report.printer import Screen, Text
from regionshift.report.terminal import facts_table

_NEWS = {"started": "bold", "success": "green", "error": "red"}
_MARKS = {
    "": ("·", "dim"),
    "before": ("…", "cyan"),
    "after": ("✓", "green"),
    "failed": ("✗", "red"),
}


class StepsView:
    """Follows the steps of a run. A context manager; without a terminal it prints a line a step.

    Args:
        meanings: what each step does, in the order of the steps. clock: seconds, monotonic.
    """

    def __init__(
        self, console: Screen, title: str, meanings: Mapping[str, str], clock: Callable[[], float]
    ) -> None:
        self._console = console
        self._title = title
        self._rows: dict[str, tuple[str, str, str]] = {
            name: ("", meaning, "") for name, meaning in meanings.items()
        }
        self._clock = clock
        self._began: dict[str, float] = {}
        self._heartbeat = Heartbeat(self._tell_plainly)
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4)

    def __enter__(self) -> StepsView:
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
        self._rows[step] = (phase, meaning, _shown(said))
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
            self._console.print(Text(summary, style=_NEWS[status]))

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


_FACTS = {
    "to_copy": "not replicated, to be copied",
    "bytes": "bytes of that",
    "conflicts": "changed there by others",
    "not_replicated": "copied, as replication had not",
    "replication_seconds": "replication delay (RPO)",
    "turned_in_seconds": "without replication",
    "rto_seconds": "until it served (RTO)",
    "seconds": "all of it",
}
# When the old primary is gone, what was lost with it is unknown, and the delay is that of what replicates now.
_FACTS_WITHOUT_SOURCE = {
    **_FACTS,
    "rpo_seconds": "what was lost (RPO)",
    "replication_seconds": "replication delay now",
}


def run_facts_table(facts: Mapping[str, object]) -> RenderableType:
    """What is known or was measured, two columns; names that are not known here are left out."""
    meanings = _FACTS_WITHOUT_SOURCE if facts.get("source_lost") else _FACTS
    known = [(meaning, name) for name, meaning in meanings.items() if name in facts and facts[name] != 0]
    return facts_table((meaning, _fact(name, facts[name])) for meaning, name in known)


def _fact(name: str, value: object) -> str:
    if not isinstance(value, int | float):
        return "unknown" if name == "rpo_seconds" else "not measured"
    if name == "bytes":
        return size(value)
    if name.endswith("seconds"):
        return duration(value) if value >= 10 else f"{value:.2f} s"
    return str(value)


def _line(step: str, phase: str, meaning: str, said: str) -> Text:
    mark, style = _MARKS[phase]
    return Text(f"{mark} {step:<18} {meaning}{'  ' + said if said else ''}", style=style)


def _shown(said: Mapping[str, object]) -> str:
    if "error" in said:
        return str(said["error"])
    if "warning" in said:
        return "NOT ALL OF IT: see the warning"
    parts = [_phrase(name, value) for name, value in said.items() if value not in (None, {}, [], 0)]
    return ", ".join(part for part in parts if part)


_COUNTED = {"checks": "checks passed", "changed": "changed", "roles": "roles"}


def _phrase(name: str, value: object) -> str:
    if name in _COUNTED:
        return f"{_value(value)} {_COUNTED[name]}"
    if isinstance(value, Mapping):
        return f"{name} {inner}" if (inner := _shown(value)) else ""
    if isinstance(value, int | float):
        if name.endswith("seconds"):
            return f"replicated in {value:.2f} s" if name.startswith("replication") else f"{value:.1f} s"
        return size(value) if name == "bytes" else f"{value} {name}"
    return f"{name} {_value(value)}"


def _value(value: object) -> str:
    return f"{len(value)}" if isinstance(value, list) else str(value)
