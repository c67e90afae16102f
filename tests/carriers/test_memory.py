"""Planning holds pages and one batch, never the keys: measured over listings that are made up as they are read."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from regionshift.carriers.carrier import Carried, DataLocation, Entry, Item, Level, Limits
from regionshift.carriers.lines import item_line, to_bytes
from regionshift.carriers.plan import MigrationPlan, make_plan, require_sound
from regionshift.carriers.records import MigrationRecords, RecordStore
from regionshift.carriers.s3.calls import Bucket, Calls, Page, Version
from regionshift.carriers.s3.listing import stacks
from regionshift.carriers.s3.objects import decisions

PAGE = 1000
ROOT = Path(__file__).parents[2]


@dataclass
class Endless:
    """Stands for ListObjectVersions of a bucket of ``keys`` keys in folders of 10,000."""

    keys: int
    prefixes: int = 10_000

    def page(
        self,
        bucket: Bucket,
        prefix: str,
        after: tuple[str, str] = ("", ""),
        *,
        delimiter: str = "",
        most: int = PAGE,
    ) -> Page:
        del prefix, most
        if delimiter:
            return Page([], [f"{start:06d}/" for start in range(0, self.keys, self.prefixes)], None)
        first = self._first(after[0])
        numbers = range(first, min(first + PAGE, self.keys))
        versions = [
            Version(
                self._key(n),
                f"{bucket.name}-{n:032d}",
                True,
                f'"{bucket.name}{n:031x}"',
                1024,
                False,
                "STANDARD",
            )
            for n in numbers
        ]
        end = not numbers or numbers[-1] + 1 >= self.keys
        return Page(versions, [], None if end else (versions[-1].key, versions[-1].id))

    def _key(self, number: int) -> str:
        return f"{number - number % self.prefixes:06d}/a-key-of-the-usual-length-{number:06d}"

    def _first(self, after: str) -> int:
        if not after:
            return 0
        return int(after.rsplit("-", 1)[1]) + 1 if "-" in after else int(after)


@dataclass
class Streaming:
    """The carrier of objects as far as planning goes, over made-up listings."""

    source: Endless
    target: Endless
    kind: str = "s3"

    def check(self, entry: Entry) -> Limits:
        del entry
        return Limits("any time")

    def inventory(
        self, entry: Entry, carried: Iterator[Carried], *, deep: bool = False, left_behind: bool = False
    ) -> Iterator[Item]:
        del deep, left_behind
        one, other = (cast(Calls, side) for side in (self.source, self.target))
        decided = decisions(
            entry, stacks(one, Bucket("a", "s"), ""), stacks(other, Bucket("b", "t"), ""), carried
        )
        return (found.item for found in decided)


@dataclass
class Weighed:
    """A sink that writes each batch as the real one does, and keeps only how much that was."""

    written: int = 0
    sizes: list[int] = field(default_factory=list)

    def batch(self, number: int, entry: Entry, after: str, items: Sequence[Item]) -> None:
        del number, entry, after
        self.written += len(to_bytes(map(item_line, items)))

    def conflict(self, entry: Entry, item: Item) -> None:
        del entry, item


class NoRecords:
    """A store in which no migration was recorded yet."""

    bucket = "records"

    def names(self, prefix: str) -> Iterator[str]:
        del prefix
        return iter(())


def planned(keys: int) -> tuple[MigrationPlan, int]:
    """The plan and the most memory that making it took, in bytes."""
    carriers: Any = {"s3": Streaming(Endless(keys), Endless(keys // 2))}
    entry = Entry("s3", DataLocation("us-east-1", "s"), DataLocation("eu-west-1", "t"))
    tracemalloc.start()
    try:
        limits = require_sound(carriers, [entry])
        found = make_plan(
            MigrationRecords(cast(RecordStore, NoRecords()), "m"),
            carriers,
            [entry],
            limits,
            level=Level.FULL,
            sink=Weighed(),
        )
        return found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_objects() -> None:
    """Holding 60,000 items would take 36 MB; eight ranges of a few pages take 12."""
    found, peak = planned(60_000)

    assert found.counts == {"new": 30_000, "changed": 30_000, "same": 0, "conflict": 0}
    assert found.batches == 240
    assert peak < 20 * 1024**2


def process_megabytes(keys: int) -> float:
    """The size of a process that plans and records ``keys`` keys, from S3's XML to the records' bytes."""
    command = [sys.executable, "-m", "benchmarks.copying.memory", str(keys)]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def test_a_process_that_plans_ten_times_as_many_keys_is_hardly_bigger() -> None:
    """Also where whoever starts it is big itself: that is no part of what planning takes."""
    ballast = bytearray(b"x") * (100 * 1024**2)
    few, many = process_megabytes(4_000), process_megabytes(40_000)

    assert (many - few) * 1024**2 / 36_000 < 200, "bytes a key; an item that is kept takes more than 600"
    assert many * 1024**2 < len(ballast)
