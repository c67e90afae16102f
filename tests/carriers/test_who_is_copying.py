"""Taking a migration back never runs beside a copy, and a plan knows what taking back wrote."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from carrier_world import S3Lab, SsmLab, World

from regionshift.carriers.carrier import Level
from regionshift.carriers.records import Layout
from regionshift.carriers.transport import Response, S3Request
from regionshift.errors import Refused


@pytest.fixture
def lab(world: World) -> S3Lab:
    lab = S3Lab(world)
    for number in range(6):
        lab.write("source", f"{number}", "new")
    lab.write("target", "0", "earlier")
    return lab


def test_rollback_waits_for_a_batch_that_is_copying(world: World, lab: S3Lab) -> None:
    before = world.versions(lab.target)
    elsewhere = replace(world.migrations, call_seconds=lambda: 300.0)
    elsewhere.of("m").begin([lab.entry], Level.PINNED)
    copying, go_on = threading.Event(), threading.Event()
    once = world.transport._once

    def slow(request: S3Request) -> Response:
        if request.key == "out/5" and "x-amz-copy-source" in request.headers:
            copying.set()
            go_on.wait(20)
        return once(request)

    world.transport._once = slow  # type: ignore[method-assign]
    worker = threading.Thread(target=elsewhere.of("m").run_batch, args=(0,))
    worker.start()
    copying.wait(20)
    looked: list[float] = []

    def wait(seconds: float) -> None:
        looked.append(seconds)
        assert len(world.versions(lab.target)) > len(before), "nothing is taken back beside a copy"
        go_on.set()
        worker.join(20)

    record = replace(world.migrations, sleep=wait).of("m").rollback()

    assert looked
    assert record["status"] == "completed"
    assert record["counts"] == {"undone": 6}
    assert world.versions(lab.target) == before


def test_rollback_that_runs_out_of_time_says_for_whom_it_waits(world: World, lab: S3Lab) -> None:
    before = world.versions(lab.target)
    world.migrations.of("m").begin([lab.entry], Level.PINNED)
    world.migrations.of("m").run_batch(0)
    layout = Layout("m")
    until = datetime.now(UTC) + timedelta(seconds=60)
    world.store.put_json(layout.running("00000000"), {"until": until.isoformat()})
    copied = world.versions(lab.target)

    record = world.migrations.of("m").rollback("", lambda: False)

    assert (record["status"], record["waiting"]) == ("incomplete", ["00000000"])
    assert world.versions(lab.target) == copied
    with pytest.raises(Refused, match="rolled back"):
        world.migrations.of("m").begin([lab.entry], Level.PINNED)
    # A call that died holds its lease until its time is over, and no longer.
    later = replace(world.migrations, now=lambda: datetime.now(UTC) + timedelta(seconds=61))
    assert later.of("m").rollback()["status"] == "completed"
    assert world.versions(lab.target) == before


def test_a_batch_that_begins_after_the_stop_copies_nothing(world: World, lab: S3Lab) -> None:
    elsewhere = replace(world.migrations, call_seconds=lambda: 300.0)
    elsewhere.of("m").begin([lab.entry], Level.PINNED)
    elsewhere.of("m").stop()
    before = world.versions(lab.target)

    assert elsewhere.of("m").run_batch(0).stopped
    assert elsewhere.of("m").finish_unless_stopped() is None
    assert world.versions(lab.target) == before
    assert list(world.store.names(Layout("m").running(""))) == []


def test_one_that_was_interrupted_while_it_was_planned_is_forgotten(world: World, lab: S3Lab) -> None:
    once = world.transport._once

    def interrupted(request: S3Request) -> Response:
        if request.key == Layout("m").plan(0):
            raise KeyboardInterrupt
        return once(request)

    world.transport._once = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        world.migrations.of("m").begin([lab.entry], Level.PINNED)
    world.migrations.of("m").stop()  # what the command does when it is interrupted, wherever it is
    world.transport._once = once  # type: ignore[method-assign]

    done = world.migrations.of("m").migrate([lab.entry], Level.PINNED)

    assert done["status"] == "completed"
    assert done["counts"]["proven"] == 6


def test_a_second_call_of_the_same_migration_copies_nothing_beside_the_first(
    world: World, lab: S3Lab
) -> None:
    calls = replace(world.migrations, call_seconds=lambda: 300.0)
    calls.of("m").begin([lab.entry], Level.PINNED)
    once = world.transport._once
    second: list[bool] = []

    def meanwhile(request: S3Request) -> Response:
        if request.key == Layout("m").results(0) and request.method == "PUT" and not second:
            second.append(False)
            second[0] = calls.of("m").run()
        return once(request)

    world.transport._once = meanwhile  # type: ignore[method-assign]

    assert calls.of("m").run()
    assert second == [False]
    assert len(world.versions(lab.target)) == 7
    assert calls.of("m").finish()["status"] == "completed"


def test_nothing_is_taken_back_under_another_migration(world: World, lab: S3Lab) -> None:
    world.migrations.of("m1").migrate([lab.entry])
    lab.write("source", "0", "newer")
    world.migrations.of("m2").begin([lab.entry], Level.PINNED)
    was = lab.look("target")

    for refused in (world.migrations.of("m1").require_free, world.migrations.of("m1").rollback):
        with pytest.raises(Refused, match="m2"):
            refused()
    world.migrations.of("m2").require_free()

    assert lab.look("target") == was
    world.migrations.of("m2").run()
    world.migrations.of("m2").finish()
    world.migrations.of("m2").rollback()
    assert world.migrations.of("m1").rollback()["status"] == "completed"


@pytest.mark.parametrize("kind", ["s3", "ssm"])
def test_what_undo_itself_wrote_is_no_conflict(world: World, kind: str) -> None:
    lab: S3Lab | SsmLab = S3Lab(world) if kind == "s3" else SsmLab(world)
    if isinstance(lab, S3Lab):
        world.replicate_onward(lab.target)
    for name in ("a", "b", "c"):
        lab.write("source", name, "one")
    world.migrations.of("m1").migrate([lab.entry])
    first = lab.look("target")
    for number in (2, 3):
        lab.write("source", "b", f"value {number}")
        lab.write("source", f"d{number}", "added")
        world.migrations.of(f"m{number}").migrate([lab.entry])
        world.migrations.of(f"m{number}").rollback()
        assert lab.look("target") == first

    plan = world.migrations.of("m4").plan([lab.entry], Level.FULL)

    assert plan.counts == {"new": 2, "changed": 1, "same": 2, "conflict": 0}, plan.conflicts
    assert world.migrations.of("m4").migrate([lab.entry])["status"] == "completed"
    lab.write("target", "a", "somebody's")
    lab.write("target", "b", "somebody's")
    assert world.migrations.of("m5").plan([lab.entry], Level.FULL).counts["conflict"] == 2


def test_conflicts_are_never_copied_over_and_are_named_in_the_end(world: World, lab: S3Lab) -> None:
    world.migrations.of("m1").migrate([lab.entry])
    lab.write("target", "3", "somebody's")
    for number in range(6):
        lab.write("source", f"{number}", "newer")

    done = world.migrations.of("m2").migrate([lab.entry])

    assert done["status"] == "incomplete"
    assert [each["key"] for each in done["conflicts"]] == ["3"]
    assert "m1" in done["conflicts"][0]["reason"]
    found = lab.look("target")
    assert found["3"][0] == b"somebody's"
    assert {found[f"{number}"][0] for number in (0, 1, 2, 4, 5)} == {b"newer"}
