"""Two calls at once: of one batch, of one plan, of one target. Only one of them does the work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from carrier_world import S3Lab, World

from regionshift.carriers import locks
from regionshift.carriers.carrier import Level
from regionshift.carriers.locks import Leases
from regionshift.carriers.migration import Migrations
from regionshift.carriers.records import Layout
from regionshift.carriers.transport import Response, S3Request
from regionshift.errors import InputError, Refused

ITEMS = 6


@pytest.fixture
def lab(world: World) -> S3Lab:
    lab = S3Lab(world)
    for number in range(ITEMS):
        lab.write("source", f"{number}", "new")
    return lab


@pytest.fixture
def calls(world: World) -> Migrations:
    """Calls that others can run beside."""
    return replace(world.migrations, call_seconds=lambda: 300.0)


def hold_copies(world: World, copying: threading.Event, go_on: threading.Event) -> None:
    """The copy of the last item waits until it may go on."""
    once = world.transport._once

    def slow(request: S3Request) -> Response:
        if request.key == f"out/{ITEMS - 1}" and "x-amz-copy-source" in request.headers:
            copying.set()
            assert go_on.wait(20)
        return once(request)

    world.transport._once = slow  # type: ignore[method-assign]


def test_a_second_call_of_a_batch_waits_for_the_first_and_copies_nothing_again(
    world: World, lab: S3Lab, calls: Migrations
) -> None:
    calls.of("m").begin([lab.entry], Level.PINNED)
    copying, go_on = threading.Event(), threading.Event()
    hold_copies(world, copying, go_on)
    first = threading.Thread(target=calls.of("m").run_batch, args=(0,))
    first.start()
    assert copying.wait(20)
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        go_on.set()
        first.join(20)

    answer = replace(calls, sleep=wait).of("m").run_batch(0)

    assert waited
    assert (answer.more, answer.counts["proven"]) == (False, ITEMS)
    assert len(world.versions(lab.target)) == ITEMS
    assert list(world.store.names(Layout("m").running(""))) == []


def test_a_second_call_of_a_batch_that_runs_out_of_time_has_more_to_do(
    world: World, lab: S3Lab, calls: Migrations
) -> None:
    calls.of("m").begin([lab.entry], Level.PINNED)
    until = datetime.now(UTC) + timedelta(seconds=60)
    world.store.put_json(Layout("m").running("00000000"), {"until": until.isoformat()})

    assert calls.of("m").run_batch(0, lambda: False).more
    assert world.versions(lab.target) == []
    # The first one died: when its time is over, the next call does the work.
    later = replace(calls, now=lambda: datetime.now(UTC) + timedelta(seconds=61))
    assert later.of("m").run_batch(0).counts["proven"] == ITEMS


def test_of_two_calls_only_one_takes_over_what_a_dead_one_held(world: World) -> None:
    layout = Layout("m")
    world.store.put_json(layout.running("part"), {"until": "2020-01-01T00:00:00+00:00"})
    look = world.store.look
    second: list[bool] = []

    def meanwhile(name: str) -> tuple[bytes, str] | None:
        found = look(name)
        if not second:
            second.append(True)
            # It, too, has seen that the lease is over.
            second[0] = leases._take(layout.running("part"), later)
        return found

    world.store.look = meanwhile  # type: ignore[method-assign]
    leases = Leases(world.records("m"), lambda: datetime.now(UTC), lambda: 60.0)
    until = datetime.now(UTC) + timedelta(seconds=60)
    mine, later = (f'{{"until":"{until.isoformat()}","call":"{call}"}}'.encode() for call in "ab")

    first = leases._take(layout.running("part"), mine)

    assert (first, second) == (False, [True])


def test_a_lease_whose_answer_was_lost_is_ours(world: World) -> None:
    once = world.transport._once

    def twice(request: S3Request) -> Response:
        if request.method == "PUT":
            once(request)
        return once(request)

    world.transport._once = twice  # type: ignore[method-assign]
    leases = Leases(world.records("m"), lambda: datetime.now(UTC), lambda: 60.0)

    with leases.alone("part", lambda: False) as alone:
        assert alone
        with leases.alone("part", lambda: False) as again:
            assert not again
    assert leases.running() == []


def test_a_target_that_is_given_back_meanwhile_is_taken(world: World, lab: S3Lab) -> None:
    locks.acquire(world.records("first"), [lab.entry])
    create = world.store.create

    def losing(name: str, body: bytes) -> bool:
        made = create(name, body)
        locks.release(world.records("first"), [lab.entry])
        return made

    world.store.create = losing  # type: ignore[method-assign]
    locks.acquire(world.records("second"), [lab.entry])
    world.store.create = create  # type: ignore[method-assign]

    with pytest.raises(Refused, match="second"):
        locks.acquire(world.records("third"), [lab.entry])


def while_planned(world: World, do: Callable[[], None]) -> None:
    """``do`` once, before the first plan's record is written."""
    once, done = world.transport._once, threading.Event()

    def meanwhile(request: S3Request) -> Response:
        if request.key == Layout("m").plan(0) and request.method == "PUT" and not done.is_set():
            done.set()
            do()
        return once(request)

    world.transport._once = meanwhile  # type: ignore[method-assign]


def test_a_plan_that_fails_takes_no_other_calls_plan_with_it(world: World, lab: S3Lab) -> None:
    """The command plans without a lease: nothing bounds its time."""

    def other() -> None:
        world.migrations.of("m").begin([lab.entry], Level.PINNED)
        raise InputError("the first one fails")

    while_planned(world, other)
    with pytest.raises(InputError, match="fails"):
        world.migrations.of("m").begin([lab.entry], Level.PINNED)

    assert world.migrations.of("m").metadata()["status"] == "copying"
    with pytest.raises(Refused, match="m into the same target is not finished"):
        world.migrations.of("another").begin([lab.entry], Level.PINNED)


def test_a_plan_never_takes_the_place_of_another_calls(world: World, lab: S3Lab) -> None:
    while_planned(world, lambda: world.migrations.of("m").begin([lab.entry], Level.PINNED) and None)

    with pytest.raises(Refused, match="planning"):
        world.migrations.of("m").begin([lab.entry], Level.FULL)

    assert world.migrations.of("m").metadata()["level"] == "pinned"


def test_a_second_call_waits_while_the_first_one_plans(world: World, lab: S3Lab, calls: Migrations) -> None:
    planning, go_on = threading.Event(), threading.Event()

    def pause() -> None:
        planning.set()
        assert go_on.wait(20)

    while_planned(world, pause)
    first = threading.Thread(target=calls.of("m").begin, args=([lab.entry], Level.PINNED))
    first.start()
    assert planning.wait(20)

    def wait(_: float) -> None:
        go_on.set()
        first.join(20)

    found = replace(calls, sleep=wait).of("m").begin([lab.entry], Level.FULL)

    assert (found["status"], found["level"]) == ("copying", "pinned")
    with pytest.raises(Refused, match="planning"):
        in_a_hurry = replace(calls, call_seconds=lambda: 1.0)
        world.store.put_json(Layout("n").running("plan"), {"until": "2999-01-01T00:00:00+00:00"})
        in_a_hurry.of("n").begin([lab.entry], Level.FULL)
