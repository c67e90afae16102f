"""What is carried never takes the place of the program's own objects at the target."""

from __future__ import annotations

import pytest
from carrier_world import SOURCE, TARGET, World

from regionshift.carriers.carrier import DataLocation, Entry, Level
from regionshift.carriers.records import PROGRAMS_OWN


@pytest.mark.parametrize("prefix", ["", "mig"])
def test_what_would_forge_a_record_is_a_conflict_by_name(world: World, prefix: str) -> None:
    source, s3 = world.bucket("from", SOURCE), world.clients.get("s3", SOURCE)
    own = [f"{folder}x/metadata.json" for folder in PROGRAMS_OWN]
    for key in [*own, "plain", "migrations", "migrations-of-birds/x"]:
        s3.put_object(Bucket=source, Key=f"in/{key.removeprefix(prefix)}", Body=b"forged")
    world.store.put("migrations/x/metadata.json", b"{}")
    entry = Entry(
        "s3", DataLocation(SOURCE, source, "in/"), DataLocation(TARGET, world.records_bucket, prefix)
    )

    planned = world.migrations.of("m").plan([entry], Level.FULL)
    done = world.migrations.of("m").migrate([entry])

    forged = {key for key in own if key.startswith(prefix)}
    assert {item.removeprefix(f"{world.records_bucket}/") for item, _ in planned.conflicts} == forged
    assert {reason for _, reason in planned.conflicts} == {"the program keeps its own objects there"}
    assert done["status"] == "incomplete"
    assert world.store.get("migrations/x/metadata.json") == b"{}"
    carried = world.clients.get("s3", TARGET).get_object(
        Bucket=world.records_bucket, Key="migrations-of-birds/x"
    )
    assert carried["Body"].read() == b"forged"
    assert {each["key"] for each in done["conflicts"]} == {key.removeprefix(prefix) for key in forged}


def test_in_another_bucket_such_keys_are_anybodys(world: World) -> None:
    source, target = world.bucket("from", SOURCE), world.bucket("to", TARGET)
    world.clients.get("s3", SOURCE).put_object(Bucket=source, Key="migrations/x", Body=b"birds")

    done = world.migrations.of("m").migrate(
        [Entry("s3", DataLocation(SOURCE, source), DataLocation(TARGET, target))]
    )

    assert done["status"] == "completed"
