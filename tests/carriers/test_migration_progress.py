"""How far a migration is can be seen while a batch is still being copied, for few requests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from carrier_world import S3Lab, World

from regionshift.carriers import plan
from regionshift.carriers.batch import progress_writer, read_progress
from regionshift.carriers.carrier import Level
from regionshift.carriers.records import Layout
from regionshift.operations.migrations import carrying
from regionshift.operations.migrations.progress import Follower, MigrationProgress


class Clock:
    """Seconds that pass when the test says so."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


def test_a_call_notes_how_far_it_is_now_and_then(world: World) -> None:
    clock = Clock()
    note = progress_writer(world.records("m"), 0, clock.now, print)
    note(1, 10)
    assert dict(read_progress(world.records("m"), [0, 1])) == {}
    clock.seconds = 3
    note(2, 20)
    note(3, 30)
    assert dict(read_progress(world.records("m"), [0, 1])) == {0: (2, 20)}


def test_what_is_under_way_is_shown_and_counted_once(world: World) -> None:
    lab, clock, told = S3Lab(world), Clock(), list[MigrationProgress]()
    for number in range(4):
        lab.write("source", str(number), "xx")
    metadata = world.migrations.of("m").begin([lab.entry], Level.PINNED)
    assert metadata["batches"] == 1
    follower = Follower(world.records("m"), 1, 4, 8, clock, told.append)
    layout = Layout("m")
    world.store.put_json(layout.share(0), {"items": 3, "bytes": 6})
    assert follower.look() is None
    clock.seconds = 5
    assert follower.look() is None
    world.migrations.of("m").run_batch(0)
    assert follower.look() == 0
    clock.seconds = 6
    assert follower.look() == -1
    assert [(one.items, one.bytes) for one in told] == [(0, 0), (3, 6), (4, 8), (4, 8)]


def test_the_end_is_foretold_by_the_batches_that_are_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "BATCH_ITEMS", 2)
    lab, clock = S3Lab(world), Clock()
    for number in range(6):
        lab.write("source", str(number), "xx")
    begun = world.migrations.of("m").begin([lab.entry], Level.PINNED)
    assert begun["batches"] == 3
    follower = Follower(world.records("m"), 3, 6, 12, clock, lambda _: None)
    world.migrations.of("m").run_batch(0)
    assert follower.look() is None  # done before: no part of the rate
    clock.seconds = 4
    world.migrations.of("m").run_batch(1)
    assert follower.look() == 4
    clock.seconds = 7
    assert follower.look() == 1


@pytest.mark.parametrize(
    ("waited", "foretold", "pause"),
    [
        (0, None, 0.06),  # nothing is known yet
        (0.8, None, 0.1),
        (2, None, 0.2),
        (160, None, 5.0),  # never longer, however long it takes
        (160, 100, 5.0),  # far from the end
        (160, 2, 1.0),  # the nearer, the sooner
        (160, 0, 0.06),
        (160, -2, 1.0),  # overdue: the longer, the later
        (160, -100, 5.0),
        (0, 100, 0.06),
    ],
)
def test_the_end_is_looked_for_the_more_often_the_nearer_it_is_foretold(
    waited: float, foretold: float | None, pause: float
) -> None:
    assert carrying._pause(waited, foretold) == pause


def test_a_batch_says_how_much_of_it_is_copied_and_proven(world: World) -> None:
    lab, clock = S3Lab(world), Clock()
    for number in range(6):
        lab.write("source", str(number), "xx")
    noted: list[int] = []

    def later() -> datetime:
        # Every note finds that its time has come, and leaves what the record had before.
        clock.seconds += 3
        noted.append(dict(read_progress(world.records("m"), [0])).get(0, (0, 0))[0])
        return clock.now()

    migrations = replace(world.migrations, now=later, call_seconds=lambda: 6000.0)
    migrations.of("m").begin([lab.entry], Level.FULL)
    noted.clear()
    migrations.of("m").run_batch(0)
    assert noted == sorted(noted)
    assert 0 < noted[len(noted) // 2] < 6
