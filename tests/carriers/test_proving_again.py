"""A finished migration is looked at again: what is not as it was written is named, and nothing is changed."""

from __future__ import annotations

from typing import Any

import pytest
from carrier_world import TARGET, Lab, S3Lab, World

from regionshift.carriers.carrier import Level
from regionshift.carriers.migration import Metadata
from regionshift.carriers.records import Layout, StoredProgress
from regionshift.operations.migrations.verifying import Proven, prove_again


def again(world: World, metadata: Metadata) -> Proven:
    return prove_again(world.records(metadata["migration_id"]), world.carriers, metadata)


@pytest.mark.parametrize("level", list(Level))
def test_what_somebody_changed_since_is_found(level: Level, world: World, lab: Lab) -> None:
    for name in ("a", "b", "c"):
        lab.write("source", name, name)
    done = world.migrations.of("m").migrate([lab.entry], level)
    assert again(world, done) == Proven(level, proven=3)
    lab.write("target", "b", "somebody's")
    lab.delete("target", "c")
    was = (lab.look("target"), world.versions(world.records_bucket))

    found = again(world, done)

    assert (found.proven, found.unproven, found.whole) == (1, 2, False)
    assert [each["key"][-1] for each in found.problems] == ["b", "c"]
    assert all(each["reason"] for each in found.problems)
    assert (lab.look("target"), world.versions(world.records_bucket)) == was


def test_tags_and_what_was_noted_of_the_first_proof_are_no_shortcut(world: World) -> None:
    lab = S3Lab(world)
    lab.write("source", "a", "x")
    done = world.migrations.of("m").migrate([lab.entry])
    item: Any = world.store.get(Layout("m").plan(0))
    version = item.decode().splitlines()[1].split('"versions":[["')[1].split('"')[0]
    note = StoredProgress(world.records("m"), 0)
    note.note(f"a\n{version}\nproof", {"equal_bytes": "1"})
    world.clients.get("s3", TARGET).put_object_tagging(
        Bucket=lab.target, Key="out/a", Tagging={"TagSet": [{"Key": "team", "Value": "other"}]}
    )
    assert [each["reason"] for each in again(world, done).problems] == ["tags differ"]
