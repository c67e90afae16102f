"""The progress of a migration, read from the results of its batches.

A look is one listing, and one read for each batch that has finished since the last look. Every three seconds the notes
of the first few running batches are read too, as large objects take minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from regionshift.carriers.batch import count, read_progress
from regionshift.carriers.lines import from_bytes
from regionshift.carriers.records import MigrationRecords
from regionshift.report.terminal import size
from regionshift.runs.messages import StepWork

_AT_ONCE = 8
_AHEAD = 32  # batches that may be done out of order
_NOTES_EVERY = 3.0  # seconds
_MOST_NOTES = 8


@dataclass(frozen=True)
class MigrationProgress:
    """Items and bytes done, of how many; ``seconds`` since the copying began.

    ``before``: items that an earlier run had done.
    """

    items: int
    of_items: int
    bytes: int
    of_bytes: int
    seconds: float
    before: int = 0

    @property
    def rate(self) -> float:
        """Items a second."""
        return (self.items - self.before) / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At this rate; None while nothing is done."""
        return (self.of_items - self.items) / self.rate if self.rate else None

    def in_words(self, region: str) -> StepWork:
        """The same in words."""
        said = f"{size(self.bytes)} of {size(self.of_bytes)}, {self.rate:,.0f}/s"
        return StepWork(said, region, self.items, self.of_items, self.seconds_left)


@dataclass
class Throughput:
    """How the copying went over time, as few points whatever it took: seconds, items and bytes, counted from 0.

    When there are too many, every second one goes and later looks are kept half as often.
    """

    most: int = 60
    _points: list[tuple[float, int, int]] = field(default_factory=list, init=False)
    _newest: tuple[float, int, int] = field(default=(0.0, 0, 0), init=False)
    _apart: int = field(default=1, init=False)
    _looks: int = field(default=0, init=False)

    def note(self, at: MigrationProgress) -> None:
        """One look more. A look that saw nothing new is one too: the copying stood still."""
        self._newest = (round(at.seconds, 2), at.items - at.before, at.bytes)
        if self._looks % self._apart == 0:
            self._points.append(self._newest)
        self._looks += 1
        if len(self._points) > self.most:
            self._points = self._points[::2]
            self._apart *= 2

    @property
    def points(self) -> list[tuple[float, int, int]]:
        """Those that were kept, and the last look."""
        is_kept = not self._looks or self._points[-1] == self._newest
        return self._points if is_kept else [*self._points, self._newest]


@dataclass
class Follower:
    """Looks again and again; what was counted once is not read again."""

    records: MigrationRecords
    batches: int
    of_items: int
    of_bytes: int
    clock: Callable[[], float]
    tell: Callable[[MigrationProgress], None]
    began: float = field(init=False)
    items: int = 0
    bytes: int = 0
    before: int | None = None

    def __post_init__(self) -> None:
        self.began = self.clock()
        self._asked = self.began
        self._counted = 0
        self._ends: float | None = None  # seconds after it began
        self._notes: dict[int, tuple[int, int]] = {}
        self._open = list(range(self.batches))

    def look(self) -> float | None:
        """Count what has finished since the last look, and tell.

        Gives the seconds to the end as the last batch that was done foretold them; under 0 it is overdue, None
        before one is done.
        """
        records = self.records
        asked = self._with_results()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            bodies = list(pool.map(lambda batch: records.store.get(records.results(batch)), asked))
        for batch, body in zip(asked, bodies, strict=True):
            if body is None:
                continue
            counts = count(from_bytes(body))
            if counts.get("unfinished"):
                continue
            self._open.remove(batch)
            self.items += counts.get("written", 0) + counts.get("failed", 0)
            self.bytes += counts.get("bytes", 0)
        if self.before is None:
            self.before = self._counted = self.items
        if self.clock() - self._asked >= _NOTES_EVERY:
            self._asked = self.clock()
            self._notes = dict(read_progress(records, self._open[:_MOST_NOTES]))
        under_way = [noted for batch, noted in self._notes.items() if batch in self._open]
        items = self.items + sum(items for items, _ in under_way)
        moved = self.bytes + sum(more for _, more in under_way)
        taken = self.clock() - self.began
        self.tell(MigrationProgress(items, self.of_items, moved, self.of_bytes, taken, self.before))
        if self.items != self._counted:
            self._counted = self.items
            self._ends = taken * (self.of_items - self.before) / (self.items - self.before)
        return None if self._ends is None else self._ends - taken

    def _with_results(self) -> list[int]:
        """The next open batches that have left results, whole or not."""
        if not self._open:
            return []
        asked = self._open[:_AHEAD]
        records = self.records
        folder = records.results(0).rpartition("/")[0] + "/"
        before = records.results(asked[0] - 1) if asked[0] else ""
        there = set(records.store.some_names(folder, before, asked[-1] - asked[0] + 1))
        return [batch for batch in asked if records.results(batch) in there]
