"""The steps that the state machine calls, in its order, and what is told of their ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from carrier_world import S3Lab, World

from regionshift.carriers.lines import entry_line
from regionshift.function.migration_worker import Worker


class Heard:
    """What was told."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, str, str, dict[str, int]]] = []

    def __call__(self, event: str, migration_id: str, status: str, counts: Mapping[str, int]) -> None:
        self.ends.append((event, migration_id, status, dict(counts)))


@pytest.fixture
def lab(world: World) -> S3Lab:
    lab = S3Lab(world)
    for name in ("a", "b"):
        lab.write("source", name, name)
    return lab


def run(worker: Worker, step: str, **fields: Any) -> dict[str, Any]:
    return worker.run(step, {"migration_id": "m", **fields}, lambda: True)


def test_a_migration_and_its_rollback_tell_their_ends(world: World, lab: S3Lab) -> None:
    heard = Heard()
    worker = Worker(replace(world.migrations, call_seconds=lambda: 60.0), heard)
    entries = [entry_line(lab.entry)]

    assert run(worker, "plan", entries=entries, level="full") == {"batches": 1, "more": False}
    assert run(worker, "copy", batch=0)["counts"]["proven"] == 2
    assert run(worker, "finish")["status"] == "completed"
    assert run(worker, "undo", reason="trial") == {
        "status": "completed",
        "counts": {"undone": 2},
        "more": False,
    }

    assert heard.ends == [
        ("migrate", "m", "completed", {"written": 2, "proven": 2}),
        ("rollback", "m", "completed", {"undone": 2}),
    ]
    assert lab.look("target") == {}


def test_what_was_stopped_has_no_end_and_what_is_unproven_no_success(world: World, lab: S3Lab) -> None:
    heard = Heard()
    worker = Worker(world.migrations, heard)
    run(worker, "plan", entries=[entry_line(lab.entry)], level="pinned")
    world.migrations.stop("m")

    assert run(worker, "finish")["status"] == "stopped"
    assert heard.ends == []
    run(worker, "plan", entries=[entry_line(lab.entry)], level="pinned")
    assert run(worker, "finish")["status"] == "incomplete"  # no batch ever ran
    assert [end[2] for end in heard.ends] == ["incomplete"]
