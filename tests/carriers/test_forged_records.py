"""Who may put objects into the bucket of the records can not make a migration do what they wrote there."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from carrier_world import ONWARD, SOURCE, TARGET, S3Lab, World, seals_of
from command_world import carrying_of, config_of

from regionshift.carriers.batch import Batch
from regionshift.carriers.bounds import Bounds, OutOfBounds, Route
from regionshift.carriers.carrier import DataLocation, Level
from regionshift.carriers.ledger import carried, folder_of
from regionshift.carriers.lines import dump, entry_line, from_bytes, to_bytes
from regionshift.carriers.records import Layout, RecordStore
from regionshift.carriers.seals import HEADER, Seals, Unsealed
from regionshift.errors import Refused
from regionshift.operations.migrations.listing import known_migrations

LAYOUT = Layout("m")


@pytest.fixture
def lab(world: World) -> S3Lab:
    """A migration that is planned and has copied nothing yet."""
    made = S3Lab(world)
    made.write("source", "a", "x")
    world.migrations.of("m").begin([made.entry], Level.FULL)
    return made


def put(world: World, name: str, body: bytes, **more: Any) -> None:
    """As somebody who may write to the bucket, and no more."""
    world.clients.get("s3", TARGET).put_object(Bucket=world.records_bucket, Key=name, Body=body, **more)


def copied(world: World, name: str, to: str) -> None:
    """A record with its seal, as another one."""
    s3 = world.clients.get("s3", TARGET)
    s3.copy_object(
        Bucket=world.records_bucket, Key=to, CopySource={"Bucket": world.records_bucket, "Key": name}
    )


def body_of(world: World, name: str) -> bytes:
    found = world.store.get(name)
    assert found is not None
    return found


RECORDS = (
    LAYOUT.metadata,
    LAYOUT.plan(0),
    LAYOUT.before(0),
    LAYOUT.results(0),
)


@pytest.mark.parametrize("name", RECORDS)
def test_no_record_is_acted_on_that_somebody_else_wrote(world: World, lab: S3Lab, name: str) -> None:
    world.migrations.of("m").run()
    put(world, name, body_of(world, name).replace(b"a", b"b"))

    with pytest.raises(Unsealed, match="not sealed") as refused:
        world.migrations.of("m").rollback()

    assert refused.value.where == f"s3://{world.records_bucket}/{name}"
    assert refused.value.exit_code == 3
    assert lab.look("target")["a"][0] == b"x"


def test_a_plan_that_was_rewritten_under_its_seal_is_not_copied(world: World, lab: S3Lab) -> None:
    s3 = world.clients.get("s3", TARGET)
    seal = s3.head_object(Bucket=world.records_bucket, Key=LAYOUT.plan(0))["Metadata"]
    head, item = from_bytes(body_of(world, LAYOUT.plan(0)))
    forged = to_bytes([head, {**item, "key": "another"}])
    put(world, LAYOUT.plan(0), forged, Metadata=seal)

    with pytest.raises(Unsealed, match="was changed"):
        world.migrations.of("m").run_batch(0)

    assert not lab.look("target")


def test_a_record_of_another_migration_batch_or_kind_is_not_taken_for_this_one(
    world: World, lab: S3Lab
) -> None:
    del lab
    for to in (Layout("other").metadata, LAYOUT.plan(1), LAYOUT.results(0)):
        copied(world, LAYOUT.plan(0) if to != Layout("other").metadata else LAYOUT.metadata, to)
        with pytest.raises(Unsealed, match="copied from another place"):
            world.store.get(to)


def test_a_record_that_replication_brought_into_another_region_is_nobodys(world: World, lab: S3Lab) -> None:
    """S3's rules cannot leave these prefixes out, so what arrives there has to be worth nothing."""
    del lab
    there = world.bucket("elsewhere", SOURCE)
    s3 = world.clients.get("s3", SOURCE)
    s3.copy_object(
        Bucket=there, Key=LAYOUT.metadata, CopySource={"Bucket": world.records_bucket, "Key": LAYOUT.metadata}
    )
    store = RecordStore(world.transport, SOURCE, there, seals_of(SOURCE, there))

    with pytest.raises(Unsealed, match="copied from another place"):
        store.get_json(LAYOUT.metadata)


@pytest.mark.parametrize("was", ["an earlier release's", "tampered with"])
def test_a_migration_whose_record_is_not_ours_is_named_and_a_replica_is_not(
    world: World, lab: S3Lab, tmp_path: Path, was: str
) -> None:
    del lab
    onward = world.replicate_onward(world.records_bucket)
    metadata, seal = body_of(world, LAYOUT.metadata), {}
    if was == "tampered with":
        s3 = world.clients.get("s3", TARGET)
        seal = s3.head_object(Bucket=world.records_bucket, Key=LAYOUT.metadata)["Metadata"]
        metadata = metadata.replace(b"planning", b"completed").replace(b"copying", b"completed")
    world.store.put_json(Layout("whole").metadata, {"migration_id": "whole", "status": "completed"})
    put(world, LAYOUT.metadata, metadata, Metadata=seal)
    outputs = {"deployment_bucket_name_eu_west_1": world.records_bucket}
    carrying = carrying_of(world, config_of("shop"), outputs, tmp_path, time.sleep)
    carrying._stores[ONWARD] = RecordStore(world.transport, ONWARD, onward, seals_of(ONWARD, onward))
    arrived = world.clients.get("s3", ONWARD).list_objects_v2(Bucket=onward, Prefix="migrations/")
    assert {LAYOUT.metadata, Layout("whole").metadata} <= {each["Key"] for each in arrived["Contents"]}

    known, unread = known_migrations(carrying, [ONWARD, TARGET])

    assert [(each.migration_id, each.region) for each in known] == [("whole", TARGET)]
    assert [each.migration_id for each in unread] == ["m"]
    assert unread[0].problem.where == f"s3://{world.records_bucket}/{LAYOUT.metadata}"


def test_an_earlier_record_put_back_later_is_told_by_the_time_s3_gives_it() -> None:
    name, body = LAYOUT.metadata, b"{}"
    an_hour_ago = Seals(
        lambda message: message[:32], TARGET, "b", lambda: datetime.now(UTC) - timedelta(hours=1)
    )
    headers = {**an_hour_ago.header(name, body), "last-modified": _now()}
    seals = Seals(lambda message: message[:32], TARGET, "b", lambda: datetime.now(UTC))

    with pytest.raises(Unsealed, match="old one that was put back"):
        seals.require(name, body, headers)

    fresh = {**seals.header(name, body), "last-modified": _now()}
    seals.require(name, body, fresh)
    at, _, mac = fresh[HEADER].partition(" ")
    with pytest.raises(Unsealed, match="was changed"):
        seals.require(name, body, {**fresh, HEADER: f"{float(at) + 60} {mac}"})


def _now() -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())


def test_what_an_unsealed_migration_wrote_is_somebody_elses_to_later_plans(world: World, lab: S3Lab) -> None:
    """A record that says so does not make what lies at the target ours."""
    world.migrations.of("m").run()
    world.migrations.of("m").finish()
    assert [each.migration_id for each in carried(world.store, lab.entry)] == ["m"]

    metadata = json.loads(body_of(world, LAYOUT.metadata))
    put(world, LAYOUT.metadata, dump(metadata).encode())
    assert not list(carried(world.store, lab.entry))


def test_a_plan_says_whose_records_it_passes_over(world: World, lab: S3Lab) -> None:
    for number in range(4):
        world.migrations.of("m" if not number else f"m{number}").run()
        world.migrations.of("m" if not number else f"m{number}").finish()
        lab.write("source", "a", f"{number}")
        world.migrations.of(f"m{number + 1}").begin([lab.entry], Level.FULL)
    (part,) = world.migrations.of("p").plan([lab.entry], Level.FULL).entries
    assert part.notes == ()

    for name in ("m", "m1", "m2", "m3"):
        put(world, Layout(name).metadata, body_of(world, Layout(name).metadata))

    (part,) = world.migrations.of("p").plan([lab.entry], Level.FULL).entries
    (note,) = part.notes
    assert note.startswith(
        "4 earlier migrations have records that this environment did not seal (m, m1, m2 and 1 more)"
    )


def test_nothing_is_done_outside_of_what_the_settings_name_today(world: World, lab: S3Lab) -> None:
    entry = lab.entry
    world.migrations.of("m").run()
    elsewhere = Route("s3", entry.source, DataLocation(TARGET, "another"))
    today = replace(world.migrations, bounds=Bounds(world.records_bucket, (elsewhere,)))

    for attempt in (
        lambda: today.of("m").begin([entry], Level.FULL),
        lambda: today.of("m").run_batch(0),
        lambda: today.of("m").rollback(),
        Batch(world.records("m"), world.carriers, today.bounds, 0, lambda: True).undo,
    ):
        with pytest.raises(OutOfBounds, match="`carry` does not name"):
            attempt()
    assert lab.look("target")["a"][0] == b"x"

    way = Route("s3", entry.source, entry.target)
    assert (
        replace(today, bounds=Bounds(world.records_bucket, (way,))).of("m").rollback()["status"]
        == "completed"
    )


def test_a_batch_holds_what_its_entry_selects_and_nothing_of_the_programs_own(
    world: World, lab: S3Lab
) -> None:
    entry = replace(lab.entry, include=("a*",))
    head = {"batch": 0, "entry": entry_line(entry), "level": "full", "after": ""}
    item = {"key": "b", "kind": "new", "versions": [["v", "e", 1, False, "STANDARD"]]}
    world.store.put(LAYOUT.plan(0), to_bytes([head, item]))
    with pytest.raises(OutOfBounds):
        world.migrations.of("m").run_batch(0)

    within = replace(lab.entry, target=DataLocation(TARGET, world.records_bucket))
    for key in ("migrations/m/metadata.json", "state/x", "artifacts/x"):
        head = {"batch": 0, "entry": entry_line(within), "level": "full", "after": ""}
        world.store.put(LAYOUT.plan(0), to_bytes([head, {**item, "key": key}]))
        with pytest.raises(OutOfBounds):
            world.migrations.of("m").run_batch(0)


def test_a_batch_whose_way_back_was_deleted_is_not_told_as_taken_back(world: World, lab: S3Lab) -> None:
    world.migrations.of("m").run(batches=1)
    before = lab.look("target")
    world.clients.get("s3", TARGET).delete_object(Bucket=world.records_bucket, Key=LAYOUT.before(0))

    with pytest.raises(Refused, match="cannot be rolled back: its record"):
        world.migrations.of("m").rollback()

    assert lab.look("target") == before
    assert world.migrations.of("m").metadata()["status"] != "rolled_back"


def test_batches_beside_one_that_is_refused_are_taken_back(
    world: World, lab: S3Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regionshift.carriers.plan.BATCH_ITEMS", 1)
    monkeypatch.setattr("regionshift.carriers.migration._BATCHES_AT_ONCE", 1)
    for number in range(9):
        lab.write("source", f"b{number}", "x")
    migration = world.migrations.of("n")
    world.migrations.of("m").rollback()
    migration.migrate([lab.entry])
    layout = Layout("n")
    for batch in (3, 0):
        world.clients.get("s3", TARGET).delete_object(Bucket=world.records_bucket, Key=layout.before(batch))

    calls = iter([True, True, True])
    first = migration.rollback(has_time=lambda: next(calls, False))
    assert first["status"] == "incomplete", "out of time: the next call goes on with what is left"

    with pytest.raises(Refused, match="cannot be rolled back: its record"):
        migration.rollback()

    assert set(lab.look("target")) == {"a", "b2"}
    record = migration.undone()
    assert record is not None
    assert (record["status"], record["counts"]) == ("incomplete", {"undone": 8})
    assert migration.metadata()["status"] != "rolled_back"


def test_what_was_taken_back_hides_no_other_migration(world: World, lab: S3Lab) -> None:
    """Nor does one that was never finished, nor a name that is no id."""
    world.migrations.of("m").run()
    world.migrations.of("m").finish()
    world.migrations.of("m").rollback()
    world.migrations.of("n").migrate([lab.entry])
    world.store.put(f"{folder_of(lab.entry)}!", b"")
    world.store.put(f"{folder_of(lab.entry)}mm", b"")
    assert {each.migration_id for each in carried(world.store, lab.entry)} == {"n"}
