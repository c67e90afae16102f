"""What was deleted and made anew is another thing, though its version has the same number or id."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from carrier_world import SOURCE, TARGET, S3Lab, SecretsLab, SsmLab, World

from regionshift.carriers.carrier import Level, VersionIdentity
from regionshift.carriers.records import Layout

LABS = [SsmLab, SecretsLab]
PLANNED = Level.FULL


def counts(world: World, lab: Any) -> dict[str, int]:
    found = world.migrations.of("p").plan([lab.entry], PLANNED).counts
    return {kind: number for kind, number in found.items() if number}


def anew(lab: Any, side: str, name: str, value: str) -> None:
    """Delete and make it, with the same version number or id as before."""
    if isinstance(lab, SsmLab):
        lab.delete(side, name)
        lab.write(side, name, value)
        return
    vault = lab.world.clients.get("secretsmanager", SOURCE if side == "source" else TARGET)
    full = lab.entry.source.prefix + name
    version = vault.get_secret_value(SecretId=full)["VersionId"]
    lab.delete(side, name)
    time.sleep(1.1)  # the embedded AWS dates secrets by the second
    vault.create_secret(Name=full, SecretString=value, ClientRequestToken=version)


@pytest.mark.parametrize("kind", LABS)
def test_made_anew_at_the_source_it_goes_again(world: World, kind: type[Any]) -> None:
    lab = kind(world)
    lab.write("source", "a", "one")
    world.migrations.of("m1").migrate([lab.entry])
    anew(lab, "source", "a", "two")

    assert counts(world, lab) == {"changed": 1}
    assert world.migrations.of("m2").migrate([lab.entry])["status"] == "completed"
    assert lab.look("target")["a"][0] == "two"
    assert counts(world, lab) == {"same": 1}


@pytest.mark.parametrize("kind", LABS)
def test_made_anew_at_the_target_it_is_somebody_elses(world: World, kind: type[Any]) -> None:
    lab = kind(world)
    lab.write("source", "a", "one")
    world.migrations.of("m1").migrate([lab.entry])
    anew(lab, "target", "a", "somebody's")
    lab.write("source", "a", "newer")

    assert counts(world, lab) == {"conflict": 1}
    record = world.migrations.of("m1").rollback()

    assert [each["key"] for each in record["conflicts"]] == ["a"]
    assert lab.look("target")["a"][0] == "somebody's"


def test_made_anew_with_a_version_more_it_is_somebody_elses_still(world: World) -> None:
    lab = SsmLab(world)
    lab.write("source", "a", "one")
    lab.write("target", "a", "earlier")
    world.migrations.of("m1").migrate([lab.entry])
    lab.delete("target", "a")
    for value in ("x", "one", "earlier"):  # as if undo had written the last
        lab.write("target", "a", value)
    history = lab.look("target")

    record = world.migrations.of("m1").rollback()

    assert [each["key"] for each in record["conflicts"]] == ["a"]
    assert lab.look("target") == history


def test_made_anew_with_another_type_it_is_a_conflict(world: World) -> None:
    lab = SsmLab(world)
    lab.write("source", "a", "one")
    world.migrations.of("m1").migrate([lab.entry])
    lab.delete("source", "a")
    ssm = world.clients.get("ssm", SOURCE)
    ssm.put_parameter(Name=f"{lab.entry.source.prefix}a", Value="one", Type="StringList")

    ((_, reason),) = world.migrations.of("p").plan([lab.entry], PLANNED).conflicts
    assert "its type is String at the target and StringList at the source" in reason


def test_made_anew_between_plan_and_copy_it_is_not_what_was_planned(world: World) -> None:
    lab = SsmLab(world)
    lab.write("source", "a", "one")
    lab.write("source", "b", "one")
    world.migrations.of("m").begin([lab.entry], PLANNED)
    anew(lab, "source", "a", "two")

    world.migrations.of("m").run()
    done = world.migrations.of("m").finish()

    assert [each["key"] for each in done["problems"]] == ["a"]
    assert set(lab.look("target")) == {"b"}


@pytest.mark.parametrize("foreign", [("x", "earlier"), ("earlier", "x"), ("x",), ("x", "x")])
def test_one_foreign_write_after_ours_is_enough(world: World, foreign: tuple[str, ...]) -> None:
    """Also where the last value is the earlier one: only undo's own write may be taken for restored."""
    lab = SsmLab(world)
    lab.write("source", "a", "one")
    lab.write("target", "a", "earlier")
    world.migrations.of("m1").migrate([lab.entry])
    for value in foreign:
        lab.write("target", "a", value)
    there = lab.look("target")

    record = world.migrations.of("m1").rollback()

    assert [each["key"] for each in record["conflicts"]] == ["a"]
    assert lab.look("target") == there


def without_dates(world: World, name: str) -> None:
    """A record as earlier releases left it."""
    lines = [json.loads(line) for line in (world.store.get(name) or b"").splitlines()]
    for line in lines:
        for field in ("source_version", "version"):
            if line.get(field):
                line[field] = VersionIdentity.read(line[field]).id
        if "detail" in line:
            line["detail"].pop("created", None)
        if line.get("versions") and isinstance(line["versions"][0], str):
            line["versions"] = [VersionIdentity.read(version).id for version in line["versions"]]
    world.store.put(name, b"".join(json.dumps(line).encode() + b"\n" for line in lines))


@pytest.mark.parametrize("kind", LABS)
def test_records_without_dates_are_read_by_number_and_the_migrations_end(
    world: World, kind: type[Any]
) -> None:
    lab = kind(world)
    for name in "abc":
        lab.write("source", name, "one")
    lab.write("target", "c", "earlier")
    world.migrations.of("m1").migrate([lab.entry])
    for name in (Layout("m1").results(0), Layout("m1").before(0)):
        without_dates(world, name)

    assert counts(world, lab) == {"same": 3}
    anew(lab, "source", "a", "two")
    anew(lab, "target", "b", "somebody's")

    assert counts(world, lab) == {"same": 1, "changed": 1, "conflict": 1}
    if kind is SsmLab:
        record = world.migrations.of("m1").rollback()
        # Of "a" nobody can tell any more what was written, and "b" is somebody's.
        assert [each["key"] for each in record["conflicts"]] == ["a", "b"]
        assert lab.look("target")["c"][0] == "earlier"


def test_equal_ids_of_two_secrets_are_not_one_secret(world: World) -> None:
    lab, token = SecretsLab(world), str(uuid.uuid4())
    for region, value in ((SOURCE, "one"), (TARGET, "other")):
        vault = world.clients.get("secretsmanager", region)
        vault.create_secret(Name=f"{lab.entry.source.prefix}a", SecretString=value, ClientRequestToken=token)

    assert counts(world, lab) == {"changed": 1}


class NullLab:
    """One object that was written before its bucket kept versions, and again while that was suspended."""

    def __init__(self, world: World) -> None:
        self.lab = S3Lab(world)
        self.s3 = world.clients.get("s3", SOURCE)

    def write_null(self, content: bytes) -> None:
        self.versioning("Suspended")
        self.s3.put_object(Bucket=self.lab.source, Key="in/a", Body=content)
        self.versioning("Enabled")

    def versioning(self, status: str) -> None:
        self.s3.put_bucket_versioning(Bucket=self.lab.source, VersioningConfiguration={"Status": status})


@pytest.mark.parametrize("history", [False, True])
def test_a_null_version_that_was_written_over_goes_again(world: World, history: bool) -> None:
    null = NullLab(world)
    null.lab.entry = type(null.lab.entry)("s3", null.lab.entry.source, null.lab.entry.target, history=history)
    null.lab.write("source", "a", "first")
    null.write_null(b"one")
    world.migrations.of("m1").migrate([null.lab.entry])
    assert counts(world, null.lab) == {"same": 1}
    null.write_null(b"two")

    assert counts(world, null.lab) == {"changed": 1}
    done = world.migrations.of("m2").migrate([null.lab.entry])

    assert done["status"] == "completed"
    assert done["planned_bytes"] == 3  # what was carried before does not go again
    assert null.lab.look("target")["a"][0] == b"two"
    assert counts(world, null.lab) == {"same": 1}


@pytest.mark.parametrize("history", [False, True])
def test_objects_older_than_versioning_are_carried_and_taken_back(world: World, history: bool) -> None:
    """Their version is ``null``; those that nothing was written over since, and those below a newer one."""
    s3 = world.clients.get("s3", SOURCE)
    old = world.bucket("old", SOURCE, versioned=False)
    for key in ("in/a", "in/b", "in/c d+ü"):
        s3.put_object(Bucket=old, Key=key, Body=b"x", Tagging="team=data", Metadata={"by": "me"})
    s3.put_object(Bucket=old, Key="in/large", Body=b"x" * 1_100_000)
    s3.put_bucket_versioning(Bucket=old, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=old, Key="in/b", Body=b"newer")
    lab = S3Lab(world)
    target = lab.entry.target
    entry = type(lab.entry)("s3", type(target)(SOURCE, old, "in/"), target, history=history)
    before = world.versions(lab.target)

    done = world.migrations.of("m").migrate([entry])

    assert [each["reason"] for each in done["problems"]] == []
    assert lab.look("target")["a"][1:] == ({"by": "me"}, None, [{"Key": "team", "Value": "data"}])
    assert world.migrations.of("p").plan([entry], PLANNED).counts["same"] == 4
    assert world.migrations.of("p").plan([entry], PLANNED, deep=True).counts["same"] == 4
    world.migrations.of("m").rollback()
    assert world.versions(lab.target) == before


def test_what_was_there_before_versioning_comes_back(world: World) -> None:
    s3 = world.clients.get("s3", TARGET)
    old = world.bucket("old", TARGET, versioned=False)
    s3.put_object(Bucket=old, Key="out/a", Body=b"earlier")
    s3.put_bucket_versioning(Bucket=old, VersioningConfiguration={"Status": "Enabled"})
    before = world.versions(old)
    lab = S3Lab(world)
    lab.write("source", "a", "new")
    entry = type(lab.entry)("s3", lab.entry.source, type(lab.entry.target)(TARGET, old, "out/"))

    assert world.migrations.of("m").migrate([entry])["status"] == "completed"
    assert s3.get_object(Bucket=old, Key="out/a")["Body"].read() == b"new"
    assert world.migrations.of("m").rollback()["conflicts"] == []

    assert world.versions(old) == before
    assert s3.get_object(Bucket=old, Key="out/a")["Body"].read() == b"earlier"
