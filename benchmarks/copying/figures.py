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
    """Medians, and ratios to the limit."""
    limit = figures["limit"].median if "limit" in figures else 0.0
    lines = [f"{title}", f"  {'':24}{'s':>8}{'(min)':>8}{'÷ limit':>9}{'CPU ms/obj':>12}{'requests/obj':>14}"]
    for name, one in figures.items():
        ratio = f"{one.median / limit:9.2f}" if limit else f"{'':9}"
        cpu = statistics.median(one.cpu) / objects * 1000
        requests = "" if one.requests is None else f"{one.requests / objects:.3f}"
        lines.append(f"  {name:24}{one.median:8.2f}{min(one.seconds):8.2f}{ratio}{cpu:12.2f}{requests:>14}")
    return "\n".join(lines)
