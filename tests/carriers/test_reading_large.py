"""Large contents are read side by side, in order, in bounded memory, and gone on with where it was."""

from __future__ import annotations

import json
import threading
import time

import pytest
from carrier_world import SOURCE, TARGET, S3Lab, World

from regionshift.carriers.carrier import Level
from regionshift.carriers.s3 import contents
from regionshift.carriers.transport import Response, S3Request

STEP = 64 * 1024
STEPS = 60
NOTED = 16


@pytest.fixture
def lab(world: World, monkeypatch: pytest.MonkeyPatch) -> S3Lab:
    monkeypatch.setattr(contents, "READ_STEP", STEP)
    monkeypatch.setattr(contents, "_NOTED_EVERY", NOTED)
    world.under_kms(checksums=False)
    lab = S3Lab(world)
    s3 = world.clients.get("s3", SOURCE)
    s3.put_object(Bucket=lab.source, Key="in/large", Body=bytes(range(256)) * (STEPS * STEP // 256) + b"end")
    return lab


class Ranges:
    """Sees what is read, and how much of it at once."""

    def __init__(self, world: World) -> None:
        self._once = world.transport._once
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0
        self.firsts: list[int] = []
        world.transport._once = self.answer  # type: ignore[method-assign]

    def answer(self, request: S3Request) -> Response:
        if "Range" not in request.headers:
            return self._once(request)
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            if request.region == TARGET:
                self.firsts.append(int(request.headers["Range"][6:].split("-")[0]))
        time.sleep(0.01)
        answer = self._once(request)
        with self._lock:
            self._now -= 1
        return answer


def test_ranges_are_read_side_by_side_each_once(world: World, lab: S3Lab) -> None:
    ranges = Ranges(world)

    done = world.migrations.of("m").migrate([lab.entry], Level.FULL)

    assert done["status"] == "completed", done["problems"]
    assert sorted(ranges.firsts) == [STEP * number for number in range(STEPS + 1)]
    assert 4 < ranges.most <= contents._READ_AT_ONCE


def test_all_objects_together_read_no_more_at_once(world: World, lab: S3Lab) -> None:
    s3 = world.clients.get("s3", SOURCE)
    for number in range(4):
        s3.put_object(Bucket=lab.source, Key=f"in/{number}", Body=b"x" * 20 * STEP)
    world.transport.pace._limit = world.transport.pace._most = 64
    ranges = Ranges(world)

    assert world.migrations.of("m").migrate([lab.entry], Level.FULL)["status"] == "completed"
    assert ranges.most <= contents._READ_AT_ONCE


def test_the_next_call_goes_on_where_the_reading_was(world: World, lab: S3Lab) -> None:
    world.migrations.of("m").begin([lab.entry], Level.FULL)
    ranges = Ranges(world)

    first = world.migrations.of("m").run_batch(0, lambda: len(ranges.firsts) < 30)

    [noted] = [world.store.get(name) for name in world.store.names("migrations/m/progress/")]
    equal = json.loads(noted or b"")["equal_bytes"]
    assert first.more
    assert NOTED * STEP < int(equal) <= 30 * STEP
    ranges.firsts.clear()
    assert world.migrations.of("m").run_batch(0).counts["proven"] == 1
    assert min(ranges.firsts) == int(equal)
    assert len(world.versions(lab.target)) == 1


@pytest.mark.parametrize("at", [0, 37 * STEP + 5, STEPS * STEP + 2])
def test_one_other_byte_anywhere_is_found(world: World, lab: S3Lab, at: int) -> None:
    once = world.transport._once

    def tampered(request: S3Request) -> Response:
        answer = once(request)
        span = request.headers.get("Range", "")
        first, _, last = span[6:].partition("-")
        if span and request.region == TARGET and int(first) <= at <= int(last):
            body = bytearray(answer.body)
            body[at - int(first)] ^= 1
            return Response(answer.status, answer.headers, bytes(body))
        return answer

    world.transport._once = tampered  # type: ignore[method-assign]

    done = world.migrations.of("m").migrate([lab.entry], Level.FULL)

    assert done["problems"][0]["reason"] == f"contents differ behind byte {at // STEP * STEP}"
