"""A target is a migration's own until nothing of it is left to do there, and then it is free, whoever died."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from carrier_world import S3Lab, World

from regionshift.carriers import locks
from regionshift.carriers.carrier import Level
from regionshift.carriers.lines import entry_line
from regionshift.carriers.plan import Asked
from regionshift.carriers.records import LOCKS, Layout
from regionshift.carriers.transport import Response, S3Request
from regionshift.errors import InputError, Refused
from regionshift.function.migration_worker import Worker


class KilledError(BaseException):
    """Stands for SIGKILL: nothing handles it."""


@pytest.fixture
def lab(world: World) -> S3Lab:
    lab = S3Lab(world)
    for name in ("a", "b", "c"):
        lab.write("source", name, "new")
    return lab


def killed_at_deletion(world: World, name: str, do: Callable[[], object]) -> None:
    """``do``, killed when it deletes a record whose name has ``name`` in it."""
    once = world.transport._once

    def dying(request: S3Request) -> Response:
        if request.method == "DELETE" and name in request.key:
            raise KilledError
        return once(request)

    world.transport._once = dying  # type: ignore[method-assign]
    with pytest.raises(KilledError):
        do()
    world.transport._once = once  # type: ignore[method-assign]


def is_free(world: World, lab: S3Lab) -> bool:
    try:
        locks.require_free(world.records("second"), [lab.entry])
    except Refused:
        return False
    return True


@pytest.mark.parametrize("again", ["finish", "begin"])
def test_one_that_died_when_it_was_completed_gives_its_target_back_the_next_time(
    again: str, world: World, lab: S3Lab
) -> None:
    world.migrations.of("m").begin([lab.entry], Level.PINNED)
    world.migrations.of("m").run()
    killed_at_deletion(world, LOCKS, lambda: world.migrations.of("m").finish())
    assert world.migrations.of("m").metadata()["status"] == "completed"
    assert not is_free(world, lab)

    if again == "finish":
        world.migrations.of("m").finish()
    else:
        world.migrations.of("m").begin([lab.entry], Level.PINNED)

    assert is_free(world, lab)


def test_one_that_died_when_its_plan_had_failed_holds_nothing_without_a_record(
    world: World, lab: S3Lab
) -> None:
    def refused() -> None:
        world.migrations.of("m").begin([lab.entry], Level.PINNED, asked=Asked(keys=["in/missing"]))

    killed_at_deletion(world, Layout("m").metadata, refused)

    assert is_free(world, lab)
    with pytest.raises(InputError):
        refused()
    assert world.migrations.of("m").known([lab.entry]) is None


def test_what_is_incomplete_keeps_its_target_until_it_is_taken_back(world: World, lab: S3Lab) -> None:
    before = world.versions(lab.target)
    world.migrations.of("m").begin([lab.entry], Level.PINNED)
    assert world.migrations.of("m").finish(goes_back=False)["status"] == "incomplete"

    with pytest.raises(Refused, match="m into the same target is not finished") as refused:
        world.migrations.of("second").begin([lab.entry], Level.PINNED)
    assert "continue it, or undo it" in str(refused.value.remedy)
    world.migrations.of("m").rollback()

    assert world.versions(lab.target) == before
    assert world.migrations.of("second").migrate([lab.entry])["status"] == "completed"


def test_what_is_incomplete_can_be_gone_on_with_and_then_gives_its_target_back(
    world: World, lab: S3Lab
) -> None:
    world.migrations.of("m").begin([lab.entry], Level.PINNED)
    world.migrations.of("m").finish()
    world.migrations.of("m").begin([lab.entry], Level.PINNED)
    assert not is_free(world, lab)

    world.migrations.of("m").run()

    assert world.migrations.of("m").finish()["status"] == "completed"
    assert is_free(world, lab)


@pytest.mark.parametrize(("on_failure", "free"), [("stop", True), ("rollback", False)])
def test_what_left_nothing_but_conflicts_gives_its_target_back_unless_it_goes_back(
    on_failure: str, free: bool, world: World, lab: S3Lab
) -> None:
    """Going on with it could do no more: its target would never be free."""
    world.migrations.of("first").migrate([lab.entry])
    lab.write("target", "a", "somebody's")
    for name in ("a", "b"):
        lab.write("source", name, "newer")
    worker = Worker(world.migrations, lambda *_: None)
    given = {"migration_id": "m", "on_failure": on_failure}
    worker.run("plan", {**given, "entries": [entry_line(lab.entry)], "level": "full"}, lambda: True)
    worker.run("copy", {**given, "batch": 0}, lambda: True)

    assert worker.run("finish", given, lambda: True)["status"] == "incomplete"

    assert is_free(world, lab) is free
    world.migrations.of("m").rollback()
    assert is_free(world, lab)


def test_what_had_nothing_to_copy_gives_its_target_back(world: World, lab: S3Lab) -> None:
    world.migrations.of("first").migrate([lab.entry])
    lab.write("target", "a", "somebody's")
    lab.write("source", "a", "newer")
    world.migrations.of("m").begin([lab.entry], Level.PINNED)

    done = world.migrations.of("m").finish()

    assert (done["status"], done["batches"]) == ("incomplete", 0)
    assert is_free(world, lab)
