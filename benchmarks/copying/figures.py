"""What is measured of a contender, and the tables made of it."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.copying.arena import Run


@dataclass
class Figures:
    """One contender's rounds: seconds and client CPU seconds (its processes', not the embedded AWS's)."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    requests: int | None = None

    @property
    def best(self) -> float:
        """Seconds of the round that was disturbed least."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """Seconds of the median round."""
        return statistics.median(self.seconds)

    def measure(self, run: Run) -> None:
        """One round."""
        began, cpu = time.perf_counter(), _cpu()
        run()
        self.seconds.append(time.perf_counter() - began)
        self.cpu.append(_cpu() - cpu)


def _cpu() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


@dataclass(frozen=True)
class Aim:
    """Something that must be reached: a figure and the most it may be."""

    what: str
    figure: float
    most: float

    def __str__(self) -> str:
        verdict = "reached" if self.figure <= self.most else "MISSED"
        return f"  {verdict:8} {self.what}: {self.figure:.2f} (at most {self.most:g})"


def table(title: str, figures: Mapping[str, Figures], objects: int) -> str:
    """Seconds and ratios to the limit, each of the best and of the median round."""
    limit = figures.get("limit")
    lines = [
        title,
        f"  {'best / median':24}{'s':>15}{'÷ limit':>14}{'CPU ms/object':>15}{'requests/object':>17}",
    ]
    for name, one in figures.items():
        seconds = f"{one.best:.2f} / {one.median:.2f}"
        ratio = f"{one.best / limit.best:.2f} / {one.median / limit.median:.2f}" if limit else ""
        cpu = min(one.cpu) / objects * 1000
        requests = "" if one.requests is None else f"{one.requests / objects:.3f}"
        lines.append(f"  {name:24}{seconds:>15}{ratio:>14}{cpu:15.2f}{requests:>17}")
    return "\n".join(lines)
