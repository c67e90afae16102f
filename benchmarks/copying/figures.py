"""The measurements of a contender, and their tables."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import psutil
from benchmarks.copying.arena import Run


@dataclass
class Figures:
    """One contender's rounds: seconds, CPU seconds of its own processes, and CPU seconds with the embedded AWS.

    On a busy machine, CPU seconds are more reliable than seconds.

    Args:
        cloud: the process id of the embedded AWS, whose children are its Lambda workers.
    """

    cloud: int
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    all_cpu: list[float] = field(default_factory=list)
    requests: int | None = None

    @property
    def best(self) -> float:
        """Seconds of the fastest round."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """Seconds of the median round."""
        return statistics.median(self.seconds)

    def measure(self, run: Run) -> None:
        """Measure one round."""
        began, cpu, clouds = time.perf_counter(), _cpu(), _cloud_cpu(self.cloud)
        run()
        self.seconds.append(time.perf_counter() - began)
        self.cpu.append(_cpu() - cpu)
        self.all_cpu.append(self.cpu[-1] + _cloud_cpu(self.cloud) - clouds)


def _cpu() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _cloud_cpu(pid: int) -> float:
    found = psutil.Process(pid)
    spent = [each.cpu_times() for each in (found, *found.children(recursive=True))]
    return float(sum(each.user + each.system for each in spent))


@dataclass(frozen=True)
class Aim:
    """A target: a measured figure and its limit."""

    what: str
    figure: float
    most: float

    def __str__(self) -> str:
        verdict = "reached" if self.figure <= self.most else "MISSED"
        return f"  {verdict:8} {self.what}: {self.figure:.2f} (at most {self.most:g})"


def table(title: str, figures: Mapping[str, Figures], objects: int) -> str:
    """Return a table of seconds and ratios to the limit, for the best and the median round; CPU of the best."""
    limit = figures.get("limit")
    heads = f"{'s':>15}{'÷ limit':>14}{'all CPU ÷':>11}{'CPU ms/object':>15}{'requests/object':>17}"
    lines = [title, f"  {'best / median':24}{heads}"]
    for name, one in figures.items():
        seconds = f"{one.best:.2f} / {one.median:.2f}"
        ratio = f"{one.best / limit.best:.2f} / {one.median / limit.median:.2f}" if limit else ""
        everything = f"{min(one.all_cpu) / min(limit.all_cpu):.2f}" if limit else ""
        cpu = min(one.cpu) / objects * 1000
        requests = "" if one.requests is None else f"{one.requests / objects:.3f}"
        lines.append(f"  {name:24}{seconds:>15}{ratio:>14}{everything:>11}{cpu:15.2f}{requests:>17}")
    return "\n".join(lines)
