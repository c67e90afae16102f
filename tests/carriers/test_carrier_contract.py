"""What every carrier keeps to, whatever it carries. A new carrier adds its lab and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from carrier_world import Lab, S3Lab, World

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
    done = world.migrations.of("m").migrate([seeded.entry], level)

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

    plan = world.migrations.of("m").plan([seeded.entry], Level.FULL)

    assert plan.counts == {"new": 8, "changed": 4, "same": 0, "conflict": 0}
    assert seeded.look("target") == before
    assert world.versions(world.records_bucket) == records


def test_rollback_brings_back_what_was_there(seeded: Lab, world: World) -> None:
    before = seeded.look("target")
    world.migrations.of("m").migrate([seeded.entry])

    record = world.migrations.of("m").rollback("changed my mind")

    assert seeded.look("target") == before
    assert record["counts"] == {"undone": len(NAMES)}
    assert record["original_migration"] == "m"
    assert record["reason"] == "changed my mind"


def test_rolling_back_twice_is_harmless(seeded: Lab, world: World) -> None:
    world.migrations.of("m").migrate([seeded.entry])
    world.migrations.of("m").rollback()
    seeded.write("target", "a0", "written after the rollback")
    after = seeded.look("target")

    world.migrations.of("m").rollback()

    assert seeded.look("target") == after


def test_a_second_migration_finds_everything_the_same(seeded: Lab, world: World) -> None:
    world.migrations.of("m1").migrate([seeded.entry])

    done = world.migrations.of("m2").migrate([seeded.entry])

    assert done["plan"] == {"new": 0, "changed": 0, "same": len(NAMES), "conflict": 0}
    assert done["status"] == "completed"


def test_only_what_changed_at_the_source_goes_again(seeded: Lab, world: World) -> None:
    world.migrations.of("m1").migrate([seeded.entry])
    seeded.write("source", "b1", "renewed")

    done = world.migrations.of("m2").migrate([seeded.entry])

    assert done["plan"]["changed"] == 1
    assert seeded.look("target")["b1"] == seeded.look("source")["b1"]
    world.migrations.of("m2").rollback()
    assert world.migrations.of("m3").plan([seeded.entry], Level.FULL).counts["new"] == 0


def test_written_over_or_deleted_since_is_a_conflict(seeded: Lab, world: World) -> None:
    world.migrations.of("m1").migrate([seeded.entry])
    seeded.write("target", "a1", "somebody's")
    seeded.delete("target", "a2")

    plan = world.migrations.of("m2").plan([seeded.entry], Level.FULL)
    record = world.migrations.of("m1").rollback()

    assert plan.counts["conflict"] == 2
    assert all("m1" in reason for _, reason in plan.conflicts)
    assert seeded.look("target")["a1"][0] in ("somebody's", b"somebody's")
    assert record["counts"]["conflict"] >= 1
    assert record["conflicts"][0]["key"] == "a1"
    assert record["conflicts"][0]["item"] == f"{seeded.entry.target}a1"


def test_killed_between_writing_and_recording_adopts_what_is_there(seeded: Lab, world: World) -> None:
    before = seeded.look("target")
    world.migrations.of("m").begin([seeded.entry], Level.FULL)
    layout = Layout("m")
    world.batch("m", 0, lambda: True).run()
    written = world.store.get(layout.results(0))
    world.store.delete(layout.results(0))

    world.migrations.of("m").run()
    done = world.migrations.of("m").finish()

    lines = (world.store.get(layout.results(0)) or b"").decode()
    assert done["status"] == "completed"
    assert lines.replace('"adopted":true,', "") == (written or b"").decode()
    world.migrations.of("m").rollback()
    assert seeded.look("target") == before


def test_rolls_back_what_was_written_and_never_recorded(seeded: Lab, world: World) -> None:
    before = seeded.look("target")
    world.migrations.of("m").begin([seeded.entry], Level.PINNED)
    world.batch("m", 0, lambda: True).run()
    world.store.delete(Layout("m").results(0))

    world.migrations.of("m").rollback()

    assert seeded.look("target") == before


def test_goes_on_after_time_ran_out(seeded: Lab, world: World) -> None:
    world.migrations.of("m").begin([seeded.entry], Level.FULL)
    granted = iter([True] * 5)

    first = world.migrations.of("m").run_batch(0, lambda: next(granted, False))
    second = world.migrations.of("m").run_batch(0)

    assert first.more
    assert not second.more
    assert world.migrations.of("m").finish()["status"] == "completed"


def test_finds_what_was_tampered_with_before_the_proof(seeded: Lab, world: World) -> None:
    world.migrations.of("m").begin([seeded.entry], Level.FULL)
    carrier = world.carriers[seeded.entry.kind]
    honest = carrier.copy

    def tampered(*given: object) -> list[object]:
        answers = list(honest(*given))  # type: ignore[arg-type]
        seeded.write("target", "a3", "tampered")
        return answers

    carrier.copy = tampered  # type: ignore[method-assign, assignment, union-attr]
    world.migrations.of("m").run()
    done = world.migrations.of("m").finish()

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
        assert world.migrations.of("m1").migrate([seeded.entry])["status"] == "incomplete"

    # What is incomplete keeps its target; only what nobody goes on with gives it back.
    world.migrations.of("m1").release_targets()
    done = world.migrations.of("m2").migrate([seeded.entry])

    assert done["plan"] == {"new": 0, "changed": 1, "same": len(NAMES) - 1, "conflict": 0}
    assert (done["status"], done["counts"]) == ("completed", {"written": 1, "proven": 1})
    assert world.migrations.of("m3").plan([seeded.entry], Level.FULL).counts["same"] == len(NAMES)


def test_the_way_back_stays_the_first_record(seeded: Lab, world: World) -> None:
    before = seeded.look("target")
    world.migrations.of("m").begin([seeded.entry], Level.PINNED)
    for _ in range(3):
        world.batch("m", 0, lambda: True).run()
        world.store.delete(Layout("m").results(0))

    world.migrations.of("m").rollback()

    assert seeded.look("target") == before


def test_a_second_migration_onto_the_same_target_is_refused_by_name(seeded: Lab, world: World) -> None:
    world.migrations.of("first").begin([seeded.entry], Level.FULL)

    with pytest.raises(Refused, match="first"):
        world.migrations.of("second").begin([seeded.entry], Level.FULL)

    world.migrations.of("first").run()
    world.migrations.of("first").finish()
    assert world.migrations.of("second").migrate([seeded.entry])["status"] == "completed"


def test_a_stop_is_heard_and_can_be_taken_back(seeded: Lab, world: World) -> None:
    world.migrations.of("m").begin([seeded.entry], Level.FULL)
    before = seeded.look("target")
    world.migrations.of("m").stop()

    assert world.migrations.of("m").run_batch(0).stopped
    assert seeded.look("target") == before
    assert world.migrations.of("m").migrate([seeded.entry])["status"] == "completed"


def test_what_was_rolled_back_is_not_resumed(seeded: Lab, world: World) -> None:
    world.migrations.of("m").migrate([seeded.entry])
    world.migrations.of("m").rollback()

    with pytest.raises(Refused, match="rolled back"):
        world.migrations.of("m").migrate([seeded.entry])


def test_no_value_is_in_any_record(seeded: Lab, world: World) -> None:
    world.migrations.of("m").migrate([seeded.entry])
    world.migrations.of("m").rollback()

    records = world.all_records()
    assert "private-" not in records
    assert "earlier-" not in records


@pytest.mark.parametrize("strange", ["-m", "_m", ".m", "..m", "m.", "1" * 128])
def test_any_id_of_the_allowed_characters_is_a_folder(strange: str, world: World) -> None:
    lab = S3Lab(world)
    lab.write("source", "a", "x")
    world.store.put("migrations/not an id/x", b"somebody's")
    world.migrations.of(strange).migrate([lab.entry])
    assert world.migrations.of("p").plan([lab.entry], Level.FULL).counts["same"] == 1
    world.migrations.of(strange).rollback()
    assert lab.look("target") == {}


@pytest.mark.parametrize("bad", ["", "../m", "a/b", "..", ".", ".locks", "x" * 200, "white space", "m\n"])
def test_an_id_cannot_leave_its_folder(bad: str, world: World) -> None:
    with pytest.raises(InputError):
        world.migrations.of(bad).metadata()
