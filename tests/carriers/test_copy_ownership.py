"""What nobody recorded is told by what it holds, not by its etag: ours goes back, what others wrote stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from carrier_world import ONWARD, SOURCE, TARGET, S3Lab, World

from regionshift.aws.clients import Clients
from regionshift.carriers.carrier import Level
from regionshift.carriers.connections import ConnectionProblemError
from regionshift.carriers.records import Layout
from regionshift.carriers.s3.multipart import MultipartSizes
from regionshift.carriers.transport import Response, S3Request
from regionshift.local.emulator import LocalCloud

MIB = 1024**2


class KilledError(BaseException):
    """Stands for SIGKILL: nothing handles it."""


@pytest.fixture(params=["MD5 as etag", "KMS", "KMS, no checksums"])
def lab(world: World, request: pytest.FixtureRequest) -> S3Lab:
    if "KMS" in request.param:
        world.under_kms(checksums="no checksums" not in request.param)
    return S3Lab(world)


@pytest.fixture
def in_parts(cloud: LocalCloud, clients: Clients) -> Iterator[World]:
    world = World(cloud, clients, sizes=MultipartSizes(threshold=6 * MIB, part=5 * MIB, parallel=2))
    yield world
    world.transport.close()


def begun(world: World, lab: S3Lab, *keys: str) -> None:
    """The migration ``m`` is planned, and has its record of what the target was; nothing is copied."""
    for key in keys:
        lab.write("source", key, f"new {key}")
    world.migrations.of("m").begin([lab.entry], Level.PINNED)
    world.batch("m", 0, lambda: False).run()


def forget_results(world: World) -> None:
    world.store.delete(Layout("m").results(0))


def put(world: World, lab: S3Lab, key: str, body: bytes, **given: Any) -> str:
    s3 = world.clients.get("s3", TARGET)
    version: str = s3.put_object(Bucket=lab.target, Key=f"out/{key}", Body=body, **given)["VersionId"]
    return version


def test_what_others_wrote_meanwhile_is_not_taken_for_ours(world: World, lab: S3Lab) -> None:
    begun(world, lab, "a", "b")
    kept: dict[str, Any] = {"Metadata": {"made-by": "a"}, "CacheControl": "max-age=60"}
    theirs = [
        put(world, lab, "a", b"NEW A", **kept),  # as long, and other contents
        put(world, lab, "b", b"new b", CacheControl="max-age=60"),  # without the metadata
    ]
    forget_results(world)

    world.migrations.of("m").rollback()

    assert [version for _, version, latest, _ in world.versions(lab.target) if latest] == theirs


def test_our_copy_is_found_between_what_others_wrote(world: World, lab: S3Lab) -> None:
    begun(world, lab, "a")
    under = put(world, lab, "a", b"NEW A")
    world.batch("m", 0, lambda: True).run()
    forget_results(world)

    world.migrations.of("m").run()
    done = world.migrations.of("m").finish()

    assert (done["status"], len(world.versions(lab.target))) == ("completed", 2)
    world.migrations.of("m").rollback()
    assert [version for _, version, *_ in world.versions(lab.target)] == [under]


def test_a_replica_of_the_source_is_not_ours(world: World) -> None:
    lab = S3Lab(world)
    lab.write("source", "a", "earlier")  # before there is replication
    onward = world.replicate_onward(lab.source, SOURCE)
    lab.entry = replace(lab.entry, target=replace(lab.entry.source, region=ONWARD, bucket=onward))
    world.migrations.of("m").begin([lab.entry], Level.PINNED)
    world.batch("m", 0, lambda: False).run()
    lab.write("source", "a", "earlier")  # replicated, and the same to the byte
    was = world.versions(onward, ONWARD)
    forget_results(world)

    world.migrations.of("m").rollback()

    assert world.versions(onward, ONWARD) == was


def test_what_cannot_be_compared_any_more_is_left_alone_and_named(world: World) -> None:
    world.under_kms()
    lab = S3Lab(world)
    begun(world, lab, "a", "b")
    world.batch("m", 0, lambda: True).run()
    forget_results(world)
    s3 = world.clients.get("s3", SOURCE)
    version = s3.head_object(Bucket=lab.source, Key="in/a")["VersionId"]
    s3.delete_object(Bucket=lab.source, Key="in/a", VersionId=version)

    going_on = world.batch("m", 0, lambda: True).run()
    record = world.migrations.of("m").rollback()

    assert going_on.counts["failed"] == 1
    assert record["counts"] == {"conflict": 1, "undone": 1}
    assert "may be ours" in record["conflicts"][0]["reason"]
    assert [key for key, *_ in world.versions(lab.target)] == ["out/a"]


def test_a_record_shorter_than_what_was_written_hides_nothing(world: World, lab: S3Lab) -> None:
    """As when the answer to the second version's copy was lost and the call then died."""
    for text in ("one", "two"):
        lab.write("source", "a", text)
    lab.write("target", "a", "earlier")
    before = world.versions(lab.target)
    world.migrations.of("m").begin([replace(lab.entry, history=True)], Level.PINNED)
    world.batch("m", 0, lambda: True).run()
    name = Layout("m").results(0)
    line = json.loads(world.store.get(name) or b"")
    short = {"key": "a", "size": line["size"], "source_version": line["source_version"], "state": "failed"}
    world.store.put(name, json.dumps(short | {"versions": line["versions"][:1], "reason": "x"}).encode())

    again = world.batch("m", 0, lambda: True).run()

    assert again.counts["proven"] == 1
    assert len(world.versions(lab.target)) == 3
    world.store.put(name, json.dumps(short | {"versions": line["versions"][:1], "reason": "x"}).encode())
    world.migrations.of("m").rollback()
    assert world.versions(lab.target) == before


@pytest.mark.parametrize("onward", [False, True])
def test_a_copy_that_was_sent_twice_and_landed_twice_goes_back(
    world: World, lab: S3Lab, onward: bool
) -> None:
    """The first answer is lost and nothing is seen of the copy yet, so it is sent again; then both land."""
    if onward:
        world.replicate_onward(lab.target)
    for key in ("a", "b"):
        lab.write("source", key, f"new {key}")
        lab.write("target", key, "earlier")
    before, versions = lab.look("target"), world.versions(lab.target)
    once, late = world.transport._once, []

    def lossy(request: S3Request) -> Response:
        if request.key == "out/a" and "x-amz-copy-source" in request.headers and len(late) < 2:
            late.append(request)
            if len(late) == 1:
                raise ConnectionProblemError("the answer never came", sent=True)
            once(late[0])
        return once(request)

    world.transport._once = lossy  # type: ignore[method-assign]
    assert world.migrations.of("m").migrate([lab.entry], Level.PINNED)["status"] == "completed"
    assert len(world.versions(lab.target)) == 5
    between = put(world, lab, "b", b"NEW B")  # somebody else's, on top

    record = world.migrations.of("m").rollback()

    assert record["counts"] == {"undone": 1, "conflict": 1}
    assert lab.look("target")["a"] == before["a"]
    if not onward:
        kept = {version for _, version, *_ in world.versions(lab.target)}
        assert {version for _, version, *_ in versions} | {between} < kept
        assert len(kept) == 4


def test_undo_that_writes_forward_knows_its_own_copy_again(world: World, lab: S3Lab) -> None:
    onward = world.replicate_onward(lab.target)
    for key in ("absent", "there"):
        lab.write("source", key, "new")
    lab.write("target", "there", "earlier")
    before = lab.look("target")
    world.migrations.of("m").migrate([lab.entry])
    once = world.transport._once

    def dying(request: S3Request) -> Response:
        if request.key == Layout("m").undone(0) and request.method == "PUT":
            raise KilledError
        return once(request)

    world.transport._once = dying  # type: ignore[method-assign]
    with pytest.raises(KilledError):
        world.migrations.of("m").rollback()
    world.transport._once = once  # type: ignore[method-assign]
    written = world.versions(lab.target)

    record = world.migrations.of("m").rollback()

    assert record["counts"] == {"undone": 2}, record["conflicts"]
    assert (lab.look("target"), world.versions(lab.target)) == (before, written)
    mirrored = world.clients.get("s3", ONWARD).list_objects_v2(Bucket=onward)["Contents"]
    assert [entry["Key"] for entry in mirrored] == ["out/there"]


def test_undo_that_writes_a_large_object_forward_goes_on_with_the_next_call(in_parts: World) -> None:
    lab = S3Lab(in_parts)
    in_parts.replicate_onward(lab.target)
    lab.write("source", "big", "new")
    put(in_parts, lab, "big", b"y" * 16 * MIB)
    in_parts.migrations.of("m").migrate([lab.entry])
    granted = iter([True] * 3)

    first = in_parts.migrations.of("m").rollback("", lambda: next(granted, False))
    second = in_parts.migrations.of("m").rollback()

    assert (first["status"], first["counts"]) == ("incomplete", {"unfinished": 1})
    assert (second["status"], second["counts"]) == ("completed", {"undone": 1})
    assert lab.look("target")["big"][0] == b"y" * 16 * MIB
    assert len(in_parts.versions(lab.target)) == 3
    left = in_parts.clients.get("s3", TARGET).list_multipart_uploads(Bucket=lab.target)
    assert not left.get("Uploads")
