"""Whatever was at the target, however far a migration came: after undo it is there again, to the version."""

from __future__ import annotations

from typing import Any

import pytest
from carrier_world import ONWARD, SOURCE, TARGET, S3Lab, SsmLab, World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regionshift.aws.clients import Clients
from regionshift.carriers.carrier import Entry, Level, Place
from regionshift.carriers.records import Layout
from regionshift.local.emulator import LocalCloud

# What happened to one key, in order: contents written, or None for a deletion.
HISTORY = st.lists(st.sampled_from(["", "one", "two", None]), max_size=3)
KEYS = ["a", "a/", "a/b", "b", "é"]
SIDES = st.fixed_dictionaries({key: st.tuples(HISTORY, HISTORY) for key in KEYS})
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def fresh(cloud: LocalCloud, clients: Clients) -> Any:
    """Makes a world of its own for each example."""
    worlds: list[World] = []

    def make() -> World:
        worlds.append(World(cloud, clients))
        return worlds[-1]

    yield make
    for world in worlds:
        world.transport.close()


def write_all(
    world: World, bucket: str, region: str, prefix: str, histories: dict[str, list[str | None]]
) -> None:
    s3 = world.clients.get("s3", region)
    for key, history in histories.items():
        for content in history:
            if content is None:
                s3.delete_object(Bucket=bucket, Key=prefix + key)
            else:
                s3.put_object(Bucket=bucket, Key=prefix + key, Body=content.encode())


@FEW
@given(
    sides=SIDES,
    history=st.booleans(),
    items_done=st.integers(0, 12),
    level=st.sampled_from(list(Level)),
    kms=st.booleans(),
    recorded=st.booleans(),
)
def test_objects(
    fresh: Any,
    sides: dict[str, tuple[list[str | None], list[str | None]]],
    history: bool,
    items_done: int,
    level: Level,
    kms: bool,
    recorded: bool,
) -> None:
    world = fresh()
    if kms:
        world.under_kms()
    lab = S3Lab(world)
    write_all(world, lab.source, SOURCE, "in/", {key: both[0] for key, both in sides.items()})
    write_all(world, lab.target, TARGET, "out/", {key: both[1] for key, both in sides.items()})
    before = world.versions(lab.target)
    entry = Entry("s3", lab.entry.source, lab.entry.target, history=history)
    granted = iter([True] * items_done)

    planned = world.migrations.begin("m", [entry], level)
    if planned["batches"]:
        world.migrations.run_batch("m", 0, lambda: next(granted, False))
        if not recorded:
            world.store.delete(Layout("m").results(0))
    world.migrations.rollback("m")

    assert world.versions(lab.target) == before
    done = world.migrations.migrate("again", [entry], level)
    assert done["status"] == "completed", done["problems"]
    current = {key: content for key, (content, _) in lab_contents(lab, "source").items()}
    there = {key: content for key, (content, _) in lab_contents(lab, "target").items()}
    assert current.items() <= there.items()
    world.migrations.rollback("again")
    assert world.versions(lab.target) == before


def lab_contents(lab: S3Lab, side: str) -> dict[str, tuple[bytes, Any]]:
    return {key: (whole[0], None) for key, whole in lab.look(side).items()}


@FEW
@given(
    before=st.dictionaries(
        st.sampled_from("abck"), st.lists(st.sampled_from(["one", "two"]), min_size=1, max_size=3)
    ),
    source=st.dictionaries(st.sampled_from("abck"), st.sampled_from(["one", "three"]), min_size=1),
    items_done=st.integers(0, 5),
)
def test_parameters(
    fresh: Any, before: dict[str, list[str]], source: dict[str, str], items_done: int
) -> None:
    world = fresh()
    lab = SsmLab(world)
    for name, value in source.items():
        lab.write("source", name, value)
    for name, values in before.items():
        for value in values:
            lab.write("target", name, value)
    earlier = lab.look("target")
    granted = iter([True] * items_done)

    world.migrations.begin(
        "m", [Entry("ssm", lab.entry.source, Place(TARGET, "", lab.entry.target.prefix))], Level.FULL
    )
    world.migrations.run_batch("m", 0, lambda: next(granted, False))
    world.migrations.rollback("m")

    assert lab.look("target") == earlier


@FEW
@given(
    sides=SIDES,
    history=st.booleans(),
    items_done=st.integers(0, 12),
    kms=st.booleans(),
    recorded=st.booleans(),
    undo_recorded=st.booleans(),
)
def test_objects_in_a_bucket_that_replicates_onward(
    fresh: Any,
    sides: dict[str, tuple[list[str | None], list[str | None]]],
    history: bool,
    items_done: int,
    kms: bool,
    recorded: bool,
    undo_recorded: bool,
) -> None:
    """Every region shows what it showed before, and goes on to when undoing is done again."""
    world = fresh()
    if kms:
        world.under_kms()
    lab = S3Lab(world)
    onward = world.replicate_onward(lab.target)
    write_all(world, lab.source, SOURCE, "in/", {key: both[0] for key, both in sides.items()})
    write_all(world, lab.target, TARGET, "out/", {key: both[1] for key, both in sides.items()})
    before = shown(world, lab.target, TARGET)
    assert shown(world, onward, ONWARD) == before
    entry = Entry("s3", lab.entry.source, lab.entry.target, history=history)
    granted = iter([True] * items_done)

    planned = world.migrations.begin("m", [entry], Level.PINNED)
    if planned["batches"]:
        world.migrations.run_batch("m", 0, lambda: next(granted, False))
        if not recorded:
            world.store.delete(Layout("m").results(0))
    world.migrations.rollback("m")

    assert shown(world, lab.target, TARGET) == before
    assert shown(world, onward, ONWARD) == before
    once = world.versions(lab.target)
    if not undo_recorded:
        world.store.delete(Layout("m").undone(0))
    assert world.migrations.rollback("m")["conflicts"] == []
    assert shown(world, lab.target, TARGET) == shown(world, onward, ONWARD) == before
    if undo_recorded:  # else what undo wrote can equal a version that was still to be copied, and is replaced
        assert world.versions(lab.target) == once
    assert world.migrations.migrate("again", [entry])["status"] == "completed"
    world.migrations.rollback("again")
    assert shown(world, lab.target, TARGET) == before
    assert shown(world, onward, ONWARD) == before


def shown(world: World, bucket: str, region: str) -> dict[str, bytes]:
    """What readers see of a bucket."""
    s3 = world.clients.get("s3", region)
    listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {each["Key"]: s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in listed}
