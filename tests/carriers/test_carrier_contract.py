"""What every carrier keeps to, whatever it carries. A new carrier adds its lab and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from carrier_world import Lab, S3Lab, World

from regionshift.carriers.batch import run_batch
from regionshift.carriers.carrier import Level, Proof, UnfinishedItem, Work
from regionshift.carriers.records import Layout
from regionshift.errors import InputError, Refused

NAMES = [f"{letter}{number}" for letter in "abk" for number in range(4)]


@pytest.fixture
def seeded(lab: Lab) -> Lab:
    """A source full of items; at the target some that are other than there."""
    for name in NAMES:
        lab.write("source", name, f"private-{name}")
    for name in NAMES[::3]:
        lab.write("target", name, f"earlier-{name}")
    lab.write("target", "k-stays", "not ours")
    return lab


@pytest.mark.parametrize("level", list(Level))
def test_carries_everything_and_proves_it(seeded: Lab, world: World, level: Level) -> None:
    done = world.migrations.migrate("m", [seeded.entry], level)

    assert done["status"] == "completed"
    assert done["counts"] == {"written": len(NAMES), "proven": len(NAMES)}
    there = seeded.look("target")
    assert {name: there[name] for name in NAMES} == seeded.look("source")
    assert done["level"] == level.value
    assert set(done) >= {
        "migration_id",
        "region",
        "source",
        "target",
        "started",
        "ended",
        "bytes",
        "checksum",
    }


def test_planning_tells_new_from_changed_and_changes_nothing(seeded: Lab, world: World) -> None:
    before, records = seeded.look("target"), world.versions(world.records_bucket)

    plan = world.migrations.plan("m", [seeded.entry], Level.FULL)

    assert plan.counts == {"new": 8, "changed": 4, "same": 0, "conflict": 0}
    assert seeded.look("target") == before
    assert world.versions(world.records_bucket) == records


def test_rollback_brings_back_what_was_there(seeded: Lab, world: World) -> None:
    before = seeded.look("target")
    world.migrations.migrate("m", [seeded.entry])

    record = world.migrations.rollback("m", "changed my mind")

    assert seeded.look("target") == before
    assert record["counts"] == {"undone": len(NAMES)}
    assert record["original_migration"] == "m"
    assert record["reason"] == "changed my mind"


def test_rolling_back_twice_is_harmless(seeded: Lab, world: World) -> None:
    world.migrations.migrate("m", [seeded.entry])
    world.migrations.rollback("m")
    seeded.write("target", "a0", "written after the rollback")
    after = seeded.look("target")

    world.migrations.rollback("m")

    assert seeded.look("target") == after


def test_a_second_migration_finds_everything_the_same(seeded: Lab, world: World) -> None:
    world.migrations.migrate("m1", [seeded.entry])

    done = world.migrations.migrate("m2", [seeded.entry])

    assert done["plan"] == {"new": 0, "changed": 0, "same": len(NAMES), "conflict": 0}
    assert done["status"] == "completed"


def test_only_what_changed_at_the_source_goes_again(seeded: Lab, world: World) -> None:
    world.migrations.migrate("m1", [seeded.entry])
    seeded.write("source", "b1", "renewed")

    done = world.migrations.migrate("m2", [seeded.entry])

    assert done["plan"]["changed"] == 1
    assert seeded.look("target")["b1"] == seeded.look("source")["b1"]
    world.migrations.rollback("m2")
    assert world.migrations.plan("m3", [seeded.entry], Level.FULL).counts["new"] == 0


def test_written_over_or_deleted_since_is_a_conflict(seeded: Lab, world: World) -> None:
    world.migrations.migrate("m1", [seeded.entry])
    seeded.write("target", "a1", "somebody's")
    seeded.delete("target", "a2")

    plan = world.migrations.plan("m2", [seeded.entry], Level.FULL)
    record = world.migrations.rollback("m1")

    assert plan.counts["conflict"] == 2
    assert all("m1" in reason for _, reason in plan.conflicts)
    assert seeded.look("target")["a1"][0] in ("somebody's", b"somebody's")
    assert record["counts"]["conflict"] >= 1
    assert record["conflicts"][0]["key"] == "a1"
    assert record["conflicts"][0]["item"] == f"{seeded.entry.target}a1"


def test_killed_between_writing_and_recording_adopts_what_is_there(seeded: Lab, world: World) -> None:
    before = seeded.look("target")
    world.migrations.begin("m", [seeded.entry], Level.FULL)
    layout = Layout("m")
    run_batch(world.store, world.carriers, world.migrations.bounds, "m", 0, lambda: True)
    written = world.store.get(layout.results(0))
    world.store.delete(layout.results(0))

    world.migrations.run("m")
    done = world.migrations.finish("m")

    lines = (world.store.get(layout.results(0)) or b"").decode()
    assert done["status"] == "completed"
    assert lines.replace('"adopted":true,', "") == (written or b"").decode()
    world.migrations.rollback("m")
    assert seeded.look("target") == before


def test_rolls_back_what_was_written_and_never_recorded(seeded: Lab, world: World) -> None:
    before = seeded.look("target")
    world.migrations.begin("m", [seeded.entry], Level.PINNED)
    run_batch(world.store, world.carriers, world.migrations.bounds, "m", 0, lambda: True)
    world.store.delete(Layout("m").results(0))

    world.migrations.rollback("m")

    assert seeded.look("target") == before


def test_goes_on_after_time_ran_out(seeded: Lab, world: World) -> None:
    world.migrations.begin("m", [seeded.entry], Level.FULL)
    granted = iter([True] * 5)

    first = world.migrations.run_batch("m", 0, lambda: next(granted, False))
    second = world.migrations.run_batch("m", 0)

    assert first.more
    assert not second.more
    assert world.migrations.finish("m")["status"] == "completed"


def test_finds_what_was_tampered_with_before_the_proof(seeded: Lab, world: World) -> None:
    world.migrations.begin("m", [seeded.entry], Level.FULL)
    carrier = world.carriers[seeded.entry.kind]
    honest = carrier.copy

    def tampered(*given: object) -> list[object]:
        answers = list(honest(*given))  # type: ignore[arg-type]
        seeded.write("target", "a3", "tampered")
        return answers

    carrier.copy = tampered  # type: ignore[method-assign, assignment, union-attr]
    world.migrations.run("m")
    done = world.migrations.finish("m")

    assert done["status"] == "incomplete"
    (problem,) = done["problems"]
    assert problem["key"] == "a3"
    assert problem["item"] == f"{seeded.entry.target}a3"
    assert problem.get("bucket", "") == seeded.entry.target.bucket


@pytest.mark.parametrize("out_of_time", [False, True])
def test_what_was_written_and_never_proven_goes_again(
    seeded: Lab, world: World, monkeypatch: pytest.MonkeyPatch, out_of_time: bool
) -> None:
    carrier = world.carriers[seeded.entry.kind]
    honest = carrier.verify

    def doubting(work: Work, written: Any, level: Level) -> Iterator[Any]:
        for proof in honest(work, written, level):
            if proof.key != "a3":
                yield proof
            elif out_of_time:
                yield UnfinishedItem("a3")
            else:
                yield Proof("a3", level, False, reason="tags differ")

    with monkeypatch.context() as patched:
        patched.setattr(carrier, "verify", doubting)
        assert world.migrations.migrate("m1", [seeded.entry])["status"] == "incomplete"

    # What is incomplete keeps its target; only what nobody goes on with gives it back.
    world.migrations.let_go("m1")
    done = world.migrations.migrate("m2", [seeded.entry])

    assert done["plan"] == {"new": 0, "changed": 1, "same": len(NAMES) - 1, "conflict": 0}
    assert (done["status"], done["counts"]) == ("completed", {"written": 1, "proven": 1})
    assert world.migrations.plan("m3", [seeded.entry], Level.FULL).counts["same"] == len(NAMES)


def test_the_way_back_stays_the_first_record(seeded: Lab, world: World) -> None:
    before = seeded.look("target")
    world.migrations.begin("m", [seeded.entry], Level.PINNED)
    for _ in range(3):
        run_batch(world.store, world.carriers, world.migrations.bounds, "m", 0, lambda: True)
        world.store.delete(Layout("m").results(0))

    world.migrations.rollback("m")

    assert seeded.look("target") == before


def test_a_second_migration_onto_the_same_target_is_refused_by_name(seeded: Lab, world: World) -> None:
    world.migrations.begin("first", [seeded.entry], Level.FULL)

    with pytest.raises(Refused, match="first"):
        world.migrations.begin("second", [seeded.entry], Level.FULL)

    world.migrations.run("first")
    world.migrations.finish("first")
    assert world.migrations.migrate("second", [seeded.entry])["status"] == "completed"


def test_a_stop_is_heard_and_can_be_taken_back(seeded: Lab, world: World) -> None:
    world.migrations.begin("m", [seeded.entry], Level.FULL)
    before = seeded.look("target")
    world.migrations.stop("m")

    assert world.migrations.run_batch("m", 0).stopped
    assert seeded.look("target") == before
    assert world.migrations.migrate("m", [seeded.entry])["status"] == "completed"


def test_what_was_rolled_back_is_not_resumed(seeded: Lab, world: World) -> None:
    world.migrations.migrate("m", [seeded.entry])
    world.migrations.rollback("m")

    with pytest.raises(Refused, match="rolled back"):
        world.migrations.migrate("m", [seeded.entry])


def test_no_value_is_in_any_record(seeded: Lab, world: World) -> None:
    world.migrations.migrate("m", [seeded.entry])
    world.migrations.rollback("m")

    records = world.all_records()
    assert "private-" not in records
    assert "earlier-" not in records


@pytest.mark.parametrize("strange", ["-m", "_m", ".m", "..m", "m.", "1" * 128])
def test_any_id_of_the_allowed_characters_is_a_folder(strange: str, world: World) -> None:
    lab = S3Lab(world)
    lab.write("source", "a", "x")
    world.store.put("migrations/not an id/x", b"somebody's")
    world.migrations.migrate(strange, [lab.entry])
    assert world.migrations.plan("p", [lab.entry], Level.FULL).counts["same"] == 1
    world.migrations.rollback(strange)
    assert lab.look("target") == {}


@pytest.mark.parametrize("bad", ["", "../m", "a/b", "..", ".", ".locks", "x" * 200, "white space", "m\n"])
def test_an_id_cannot_leave_its_folder(bad: str, world: World) -> None:
    with pytest.raises(InputError):
        world.migrations.metadata(bad)
