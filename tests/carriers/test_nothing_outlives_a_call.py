"""When a call fails half-way, nothing of it is still copying when it has answered; a note never fails it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from carrier_world import TARGET, S3Lab, World

from regionshift.carriers.carrier import Level
from regionshift.carriers.records import Layout
from regionshift.carriers.transport import Response, S3Request

ITEMS = 40  # more than are copied at once


class DefectError(Exception):
    """Something that nobody reckoned with."""


class Watched:
    """Counts copies that are begun and ended, each of which takes a moment; the one of ``breaks`` breaks."""

    def __init__(self, world: World, breaks: str = "") -> None:
        self._once = world.transport._once
        self._breaks = breaks
        self._lock = threading.Lock()
        self.begun = self.ended = 0
        world.transport._once = self.answer  # type: ignore[method-assign]

    def answer(self, request: S3Request) -> Response:
        if "x-amz-copy-source" not in request.headers:
            return self._once(request)
        if request.key == self._breaks:
            raise DefectError
        with self._lock:
            self.begun += 1
        time.sleep(0.05)
        try:
            return self._once(request)
        finally:
            with self._lock:
                self.ended += 1

    def require_that_all_has_ended(self) -> None:
        begun = self.begun
        assert begun == self.ended
        assert begun < ITEMS - 10, "what had not begun is left"
        time.sleep(0.3)
        assert self.begun == begun


@pytest.fixture
def lab(world: World) -> S3Lab:
    lab = S3Lab(world)
    for number in range(ITEMS):
        lab.write("source", f"{number:02d}", "new")
    return lab


def test_no_copy_outlives_a_batch_that_fails(world: World, lab: S3Lab) -> None:
    world.migrations.of("m").begin([lab.entry], Level.PINNED)
    copies = Watched(world)

    def broken(*_: int) -> None:
        raise DefectError

    with pytest.raises(DefectError) as kept:  # the traceback, and with it all that was under way
        world.batch("m", 0, lambda: True).run(broken)

    copies.require_that_all_has_ended()
    assert kept.tb is not None
    assert world.migrations.of("m").run_batch(0).counts["proven"] == ITEMS
    assert len(world.versions(lab.target)) == ITEMS


def test_no_copy_outlives_an_item_whose_answer_cannot_be_understood(world: World, lab: S3Lab) -> None:
    world.migrations.of("m").begin([lab.entry], Level.PINNED)
    copies = Watched(world, breaks="out/00")

    with pytest.raises(DefectError):
        world.migrations.of("m").run_batch(0)

    copies.require_that_all_has_ended()


def test_nothing_is_written_forward_after_a_rollback_that_fails(world: World, lab: S3Lab) -> None:
    for number in range(ITEMS):
        lab.write("target", f"{number:02d}", "earlier")
    before = lab.look("target")
    world.replicate_onward(lab.target)
    world.migrations.of("m").migrate([lab.entry], Level.PINNED)
    once = world.transport._once
    copies = Watched(world, breaks="out/00")

    with pytest.raises(DefectError):
        world.batch("m", 0, lambda: True).undo()

    copies.require_that_all_has_ended()
    world.transport._once = once  # type: ignore[method-assign]
    assert world.migrations.of("m").rollback()["counts"] == {"undone": ITEMS}
    assert lab.look("target") == before


def test_a_note_that_cannot_be_written_is_told_and_fails_nothing(world: World, lab: S3Lab) -> None:
    later = iter(datetime.now(UTC) + timedelta(seconds=3 * number) for number in range(1000))
    told: list[str] = []
    migrations = replace(
        world.migrations, now=lambda: next(later), call_seconds=lambda: 6000.0, warn=told.append
    )
    migrations.of("m").begin([lab.entry], Level.FULL)
    once = world.transport._once

    def refusing(request: S3Request) -> Response:
        if request.key == Layout("m").share(0):
            return Response(403, {}, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
        return once(request)

    world.transport._once = refusing  # type: ignore[method-assign]

    assert migrations.of("m").run_batch(0).counts["proven"] == ITEMS
    assert "batch 0 of m" in told[0]
    assert "AccessDenied" in told[0]
    assert world.clients.get("s3", TARGET).list_objects_v2(Bucket=lab.target)["KeyCount"] == ITEMS
