"""What a change of primary copies last holds the new primary's bucket no longer than it has something to do there."""

from __future__ import annotations

from pathlib import Path

import pytest
from carrier_world import SOURCE, TARGET, World
from command_world import carrying_of, config_of, journal_in

from regionshift.carriers import locks
from regionshift.carriers.carrier import Entry
from regionshift.carriers.transport import Response, S3Request
from regionshift.errors import Refused, WorkFailed
from regionshift.operations.moving.copying import LastCopy, Missed, bucket_entry


def last_copy(world: World, tmp_path: Path) -> tuple[LastCopy, Entry]:
    """Between two deployment buckets of an environment."""
    config = config_of(f"p{world.run[:6]}")
    entry = bucket_entry(config, SOURCE, TARGET)
    for place in (entry.source, entry.target):
        s3 = world.clients.get("s3", place.region)
        where = {} if place.region == SOURCE else {"LocationConstraint": place.region}
        s3.create_bucket(Bucket=place.bucket, **({"CreateBucketConfiguration": where} if where else {}))
        s3.put_bucket_versioning(Bucket=place.bucket, VersioningConfiguration={"Status": "Enabled"})
    outputs = {"deployment_bucket_name_eu_west_1": entry.target.bucket}
    carrying = carrying_of(world, config, outputs, tmp_path, lambda _: None)
    return LastCopy(carrying, journal_in(tmp_path), lambda: 0.0, SOURCE, TARGET), entry


def test_what_could_not_be_copied_and_has_come_by_itself_holds_the_bucket_no_longer(
    world: World, tmp_path: Path
) -> None:
    last, entry = last_copy(world, tmp_path)
    carrying = last.carrying
    world.clients.get("s3", SOURCE).put_object(Bucket=entry.source.bucket, Key="late", Body=b"x")
    once = world.transport._once

    def refusing(request: S3Request) -> Response:
        if "x-amz-copy-source" in request.headers:
            return Response(403, {}, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
        return once(request)

    world.transport._once = refusing  # type: ignore[method-assign]
    with pytest.raises(WorkFailed, match="proven"):
        last.catch_up("run")
    world.transport._once = once  # type: ignore[method-assign]
    with pytest.raises(Refused, match="run-catch-up"):
        locks.require_free(carrying.migration(TARGET, "another").records, [entry])
    world.clients.get("s3", TARGET).put_object(Bucket=entry.target.bucket, Key="late", Body=b"x")

    assert "bucket" not in last.catch_up("run")

    locks.require_free(carrying.migration(TARGET, "another").records, [entry])


def test_our_own_copies_are_nobodys_writes(world: World, tmp_path: Path) -> None:
    last, entry = last_copy(world, tmp_path)
    old, new = world.clients.get("s3", SOURCE), world.clients.get("s3", TARGET)
    for key in ("ours", "theirs", "known"):
        old.put_object(Bucket=entry.source.bucket, Key=key, Body=b"x")
    last.copy("run")
    assert last.missed() == Missed()
    for key in ("ours", "theirs"):
        old.put_object(Bucket=entry.source.bucket, Key=key, Body=b"late")
    new.put_object(Bucket=entry.target.bucket, Key="theirs", Body=b"of the new primary")

    assert last.missed() == Missed(keys=("ours",), written=("theirs",))


def test_a_return_that_was_killed_while_it_copied_is_gone_on_with(world: World, tmp_path: Path) -> None:
    last, entry = last_copy(world, tmp_path)
    old, new = world.clients.get("s3", SOURCE), world.clients.get("s3", TARGET)
    old.put_object(Bucket=entry.source.bucket, Key="missed", Body=b"x")
    once = world.transport._once

    def killed(request: S3Request) -> Response:
        if "x-amz-copy-source" in request.headers:
            raise KeyboardInterrupt
        return once(request)

    world.transport._once = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        last.copy_back("first")
    world.transport._once = once  # type: ignore[method-assign]
    old.put_object(Bucket=entry.source.bucket, Key="since", Body=b"x")

    last.copy_back("second")

    assert {each["Key"] for each in new.list_objects_v2(Bucket=entry.target.bucket)["Contents"]} >= {
        "missed",
        "since",
    }
    locks.require_free(last.carrying.migration(TARGET, "another").records, [entry])
    locks.acquire(last.carrying.migration(TARGET, "somebody").records, [entry])
    with pytest.raises(Refused, match="somebody"):
        last.copy_back("third")
