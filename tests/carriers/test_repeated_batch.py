"""The state machine calls a batch again: when there is more, when a call died, when its answer was lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from carrier_world import S3Lab, World

from regionshift.carriers.lines import entry_line
from regionshift.carriers.transport import Response, S3Request
from regionshift.function.migration_worker import Worker

ITEMS = 12


class KilledError(BaseException):
    """What Lambda does to a call whose time is over: nothing of it runs on."""


@pytest.fixture
def lab(world: World) -> S3Lab:
    lab = S3Lab(world)
    for number in range(ITEMS):
        lab.write("source", f"{number:02d}", f"new {number}")
        if number % 2:
            lab.write("target", f"{number:02d}", f"earlier {number}")
    return lab


@pytest.fixture(params=["pinned", "full"])
def worker(world: World, lab: S3Lab, request: pytest.FixtureRequest) -> Worker:
    worker = Worker(world.migrations, lambda *_: None)
    fields = {"entries": [entry_line(lab.entry)], "level": request.param}
    worker.run("plan", {"migration_id": "m", **fields}, lambda: True)
    return worker


def copy(worker: Worker, has_time: Callable[[], bool] = lambda: True) -> dict[str, Any]:
    return worker.run("copy", {"migration_id": "m", "batch": 0}, has_time)


def each_once(world: World, lab: S3Lab) -> None:
    """One version more for each item, and all of it is undone."""
    keys = [key for key, *_ in world.versions(lab.target)]
    assert keys == sorted(f"out/{number:02d}" for number in range(ITEMS) for _ in range(1 + number % 2))
    assert world.migrations.of("m").finish()["status"] == "completed"
    world.migrations.of("m").rollback()
    assert {name: found[0] for name, found in lab.look("target").items()} == {
        f"{number:02d}": f"earlier {number}".encode() for number in range(1, ITEMS, 2)
    }


def test_what_one_call_copied_the_next_leaves_alone(world: World, lab: S3Lab, worker: Worker) -> None:
    asked = iter(range(ITEMS // 2))

    first = copy(worker, lambda: next(asked, None) is not None)

    assert first["more"] and 0 < first["counts"]["written"] < ITEMS
    assert not copy(worker)["more"]
    each_once(world, lab)


@pytest.mark.parametrize("at", [1, 5, ITEMS])
def test_what_a_killed_call_copied_the_next_finds(
    world: World, lab: S3Lab, worker: Worker, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Killed after S3 did the copy and before anybody noted it, with others under way."""
    once, copies = world.transport._once, 0

    def dying(request: S3Request) -> Response:
        nonlocal copies
        if copies >= at:
            raise KilledError
        answer = once(request)
        if "x-amz-copy-source" in request.headers:
            copies += 1
            if copies >= at:
                raise KilledError
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(world.transport, "_once", dying)
        with pytest.raises(KilledError):
            copy(worker)
    assert world.store.get("migrations/m/results/00000000.jsonl") is None

    again = copy(worker)

    assert again["counts"]["proven"] == ITEMS and not again["more"]
    each_once(world, lab)


def test_a_batch_that_is_done_is_only_looked_at(
    world: World, lab: S3Lab, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = copy(worker)
    once = world.transport._once
    with monkeypatch.context() as patched:

        def read_only(request: S3Request) -> Response:
            assert request.bucket == world.records_bucket or request.method in ("GET", "HEAD"), request.where
            return once(request)

        patched.setattr(world.transport, "_once", read_only)
        assert copy(worker) == done
    each_once(world, lab)
