"""Whatever was at the target, however far a migration came: after undo it is there again, to the version."""

from __future__ import annotations

from typing import Any

import pytest
from carrier_world import ONWARD, SOURCE, TARGET, S3Lab, SecretsLab, SsmLab, World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regionshift.aws.clients import Clients
from regionshift.carriers.carrier import DataLocation, Entry, Level
from regionshift.carriers.records import Layout
from regionshift.local.emulator import LocalCloud

# What happened to one key, in order: contents written, or None for a deletion.
HISTORY = st.lists(st.sampled_from(["", "one", "two", None]), max_size=3)
KEYS = ["a", "a/", "a/b", "b", "é"]
SIDES = st.fixed_dictionaries({key: st.tuples(HISTORY, HISTORY) for key in KEYS})
FEW = settings(
    max_examples=settings.default.max_examples // 4,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


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

    planned = world.migrations.of("m").begin([entry], level)
    if planned["batches"]:
        world.migrations.of("m").run_batch(0, lambda: next(granted, False))
        if not recorded:
            world.store.delete(Layout("m").results(0))
    world.migrations.of("m").rollback()

    assert world.versions(lab.target) == before
    done = world.migrations.of("again").migrate([entry], level)
    assert done["status"] == "completed", done["problems"]
    current = {key: content for key, (content, _) in lab_contents(lab, "source").items()}
    there = {key: content for key, (content, _) in lab_contents(lab, "target").items()}
    assert current.items() <= there.items()
    world.migrations.of("again").rollback()
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

    world.migrations.of("m").begin(
        [Entry("ssm", lab.entry.source, DataLocation(TARGET, "", lab.entry.target.prefix))], Level.FULL
    )
    world.migrations.of("m").run_batch(0, lambda: next(granted, False))
    world.migrations.of("m").rollback()

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

    planned = world.migrations.of("m").begin([entry], Level.PINNED)
    if planned["batches"]:
        world.migrations.of("m").run_batch(0, lambda: next(granted, False))
        if not recorded:
            world.store.delete(Layout("m").results(0))
    world.migrations.of("m").rollback()

    assert shown(world, lab.target, TARGET) == before
    assert shown(world, onward, ONWARD) == before
    once = world.versions(lab.target)
    if not undo_recorded:
        world.store.delete(Layout("m").undone(0))
    assert world.migrations.of("m").rollback()["conflicts"] == []
    assert shown(world, lab.target, TARGET) == shown(world, onward, ONWARD) == before
    if undo_recorded:  # else what undo wrote can equal a version that was still to be copied, and is replaced
        assert world.versions(lab.target) == once
    assert world.migrations.of("again").migrate([entry])["status"] == "completed"
    world.migrations.of("again").rollback()
    assert shown(world, lab.target, TARGET) == before
    assert shown(world, onward, ONWARD) == before


def shown(world: World, bucket: str, region: str) -> dict[str, bytes]:
    """What readers see of a bucket."""
    s3 = world.clients.get("s3", region)
    listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {each["Key"]: s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in listed}


# A secret that was at the target: its versions (text or binary), and all that hangs on it.
SECRET = st.fixed_dictionaries(
    {
        "values": st.lists(st.sampled_from(["one", "two", b"\x00\xff", b"two"]), min_size=1, max_size=4),
        "labels": st.lists(st.integers(0, 3), max_size=2),
        "described": st.sampled_from(["", "of somebody"]),
        "tags": st.dictionaries(st.sampled_from(["team", "other"]), st.sampled_from(["a", ""])),
        "own_key": st.booleans(),
        "fate": st.sampled_from(["kept", "kept", "kept", "deleted", "replica"]),
    }
)


def write_secret(world: World, region: str, name: str, secret: dict[str, Any], key: str) -> None:
    """Make it in ``region`` as its owner might have; as a replica, it is made in a third one."""
    replica = secret["fate"] == "replica"
    vault = world.clients.get("secretsmanager", "us-west-2" if replica else region)
    more: Any = {"KmsKeyId": key} if secret["own_key"] and not replica else {}
    tags = [{"Key": tag, "Value": value} for tag, value in secret["tags"].items()]
    made = []
    for number, value in enumerate(secret["values"]):
        given: Any = {"SecretBinary": value} if isinstance(value, bytes) else {"SecretString": value}
        if number == 0:
            answer = vault.create_secret(
                Name=name, Description=secret["described"], Tags=tags, **more, **given
            )
        else:
            answer = vault.put_secret_value(SecretId=name, **given)
        made.append(answer["VersionId"])
        if number in secret["labels"]:
            # Labelled while it is current, so that it is kept.
            vault.update_secret_version_stage(
                SecretId=name, VersionStage=f"own-{number}", MoveToVersionId=made[-1]
            )
    if secret["fate"] == "deleted":
        vault.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    if replica:
        vault.replicate_secret_to_regions(SecretId=name, AddReplicaRegions=[{"Region": region}])


def secrets_there(world: World, prefix: str) -> dict[str, Any]:
    """Every secret of the target to the last label, with the value of every version."""
    vault = world.clients.get("secretsmanager", TARGET)
    found = {}
    pages = vault.get_paginator("list_secrets").paginate(
        IncludePlannedDeletion=True, Filters=[{"Key": "name", "Values": [prefix]}]
    )
    for name in pages.search("SecretList[].Name"):
        one = vault.describe_secret(SecretId=name)
        stages = {version: sorted(labels) for version, labels in one["VersionIdsToStages"].items()}
        values = {}
        for version in stages if not one.get("DeletedDate") else ():
            value = vault.get_secret_value(SecretId=name, VersionId=version)
            values[version] = value.get("SecretString") or value["SecretBinary"]
        tags = sorted((tag["Key"], tag["Value"]) for tag in one.get("Tags", []))
        settings = [one.get(field) for field in ("Description", "KmsKeyId", "DeletedDate", "PrimaryRegion")]
        found[name] = (stages, values, tags, settings)
    return found


@FEW
@given(
    before=st.dictionaries(st.sampled_from("abc"), SECRET),
    source=st.dictionaries(st.sampled_from("abcd"), SECRET, min_size=1),
    items_done=st.integers(0, 5),
)
def test_secrets(
    fresh: Any, before: dict[str, dict[str, Any]], source: dict[str, dict[str, Any]], items_done: int
) -> None:
    world = fresh()
    prefix = SecretsLab(world).entry.target.prefix
    keys = [
        world.clients.get("kms", region).create_key()["KeyMetadata"]["Arn"] for region in (SOURCE, TARGET)
    ]
    for name, secret in source.items():
        write_secret(world, SOURCE, prefix + name, {**secret, "fate": "kept"}, keys[0])
    for name, secret in before.items():
        # A replica's name is taken in the region that it comes from; nothing of ours is there.
        write_secret(world, TARGET, prefix + name, secret, keys[1])
    earlier = secrets_there(world, prefix)
    entry = Entry(
        "secrets", DataLocation(SOURCE, prefix=prefix), DataLocation(TARGET, prefix=prefix), kms_key=keys[1]
    )
    granted = iter([True] * items_done)

    planned = world.migrations.of("m").begin([entry], Level.FULL)
    if planned["batches"]:
        world.migrations.of("m").run_batch(0, lambda: next(granted, False))
    world.migrations.of("m").rollback()

    assert secrets_there(world, prefix) == earlier
    done = world.migrations.of("again").migrate([entry])
    barred = {name for name, secret in before.items() if secret["fate"] != "kept"} & set(source)
    assert done["problems"] == []
    assert {conflict["key"] for conflict in done.get("conflicts", ())} == barred
    world.migrations.of("again").rollback()
    assert secrets_there(world, prefix) == earlier
