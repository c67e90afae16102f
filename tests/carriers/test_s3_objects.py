"""What only objects have: strange keys, metadata, versions, parts, buckets that replicate or lock."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote

import pytest
from carrier_world import SOURCE, TARGET, S3Lab, World, in_parallel

from regionshift.aws.clients import Clients
from regionshift.carriers.carrier import DataLocation, Entry, Level
from regionshift.carriers.connections import ConnectionProblemError
from regionshift.carriers.records import Layout
from regionshift.carriers.s3.calls import Bucket, Calls
from regionshift.carriers.s3.listing import stacks
from regionshift.carriers.s3.multipart import MultipartSizes
from regionshift.carriers.transport import Response, S3Request
from regionshift.errors import InputError, Refused
from regionshift.local.emulator import LocalCloud

MIB = 1024**2
STRANGE = [
    "empty",
    "folder/",
    "a//b",
    "/leading",
    "a/../b",
    "dot/./dot",
    "space and+plus%20percent",
    "question?versionId=x&hash#mark",
    "quote\"'<&>",
    "grüße/日本語/🚀",
    "combining-e\u0301",
    "é",
    "~tilde*star:colon|pipe\\back",
    "x" * 900,
    "zz\U0010ffff",
]


@pytest.fixture
def objects(world: World) -> S3Lab:
    return S3Lab(world)


@pytest.fixture
def in_parts(cloud: LocalCloud, clients: Clients) -> World:
    """A world in which whatever is larger than 6 MiB is copied in parts."""
    return World(cloud, clients, sizes=MultipartSizes(threshold=6 * MIB, part=5 * MIB, parallel=2))


def test_strange_keys_and_empty_objects_arrive_and_go_back(objects: S3Lab, world: World) -> None:
    for key in STRANGE:
        objects.write("source", key, "" if key in ("empty", "folder/") else f"of {key}")
    for key in STRANGE[::2]:
        objects.write("target", key, "earlier")
    before = world.versions(objects.target)

    done = world.migrations.of("m").migrate([objects.entry])

    assert done["status"] == "completed", done["problems"]
    assert objects.look("target") == objects.look("source")
    world.migrations.of("m").rollback()
    assert world.versions(objects.target) == before


def test_listings_may_begin_with_an_empty_page(objects: S3Lab, world: World) -> None:
    """S3 API Reference, "ListObjectVersions": "The response might contain fewer keys"; also while answers are lost."""
    for key in ("a", "b"):
        objects.write("source", key, "new")
    objects.write("target", "a", "earlier")
    world.replicate_onward(objects.target)
    before = objects.look("target")
    once, lost = world.transport._once, set()

    def answer(request: S3Request) -> Response:
        response = once(request)
        if "x-amz-copy-source" in request.headers and request.headers["x-amz-copy-source"] not in lost:
            lost.add(request.headers["x-amz-copy-source"])
            raise ConnectionProblemError("the answer never came", sent=True)
        first = re.search(rb"<Key>(.*?)</Key>", response.body)
        if not first or {"versions", "key-marker"} & dict(request.query).keys() != {"versions"}:
            return response
        before_it = quote(unquote(first[1].decode())[:-1])
        page = f"<EncodingType>url</EncodingType><NextKeyMarker>{before_it}</NextKeyMarker>"
        body = f"<ListVersionsResult><IsTruncated>true</IsTruncated>{page}</ListVersionsResult>"
        return replace(response, body=body.encode())

    world.transport._once = answer  # type: ignore[method-assign]

    done = world.migrations.of("m").migrate([objects.entry])
    undone = world.migrations.of("m").rollback()

    assert (done["status"], undone["counts"]) == ("completed", {"undone": 2}), (done, undone["conflicts"])
    assert objects.look("target") == before
    assert len(lost) == 3


def test_headers_metadata_and_tags_survive(objects: S3Lab, world: World) -> None:
    s3 = world.clients.get("s3", SOURCE)
    s3.put_object(
        Bucket=objects.source,
        Key="in/page",
        Body=b"<p>",
        ContentType="text/html; charset=utf-8",
        ContentEncoding="identity",
        ContentLanguage="de",
        ContentDisposition="inline; filename=p.html",
        CacheControl="no-store",
        Metadata={"owner": "me", "empty": ""},
        Tagging="a=1&b=%20space%2Bplus%3D&c=%C3%BC",
        StorageClass="STANDARD_IA",
    )

    world.migrations.of("m").migrate([replace(objects.entry, storage_class="INTELLIGENT_TIERING")])

    there = world.clients.get("s3", TARGET)
    kept = (
        "ContentType",
        "ContentEncoding",
        "ContentLanguage",
        "ContentDisposition",
        "CacheControl",
        "Metadata",
    )
    one: dict[str, Any] = dict(s3.head_object(Bucket=objects.source, Key="in/page"))
    other: dict[str, Any] = dict(there.head_object(Bucket=objects.target, Key="out/page"))
    assert {name: other[name] for name in kept} == {name: one[name] for name in kept}
    assert other["StorageClass"] == "INTELLIGENT_TIERING"
    tags = [
        client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
        for client, bucket, key in ((s3, objects.source, "in/page"), (there, objects.target, "out/page"))
    ]
    assert tags[0] == tags[1]


def test_the_copy_gets_the_key_of_the_target(objects: S3Lab, world: World) -> None:
    key = world.clients.get("kms", TARGET).create_key()["KeyMetadata"]["Arn"]
    objects.write("source", "a", "x")

    done = world.migrations.of("m").migrate([replace(objects.entry, kms_key=key)])

    head = world.clients.get("s3", TARGET).head_object(Bucket=objects.target, Key="out/a")
    assert head["ServerSideEncryption"] == "aws:kms"
    assert head["SSEKMSKeyId"] == key
    assert done["status"] == "completed"


def test_only_what_is_selected_goes(objects: S3Lab, world: World) -> None:
    for key in ("logs/a.txt", "logs/b.bin", "data/a.txt", "migrations/m/x.txt"):
        objects.write("source", key, key)
    entry = replace(objects.entry, include=("*.txt",), exclude=("data/*",), owned=("in/migrations/",))

    world.migrations.of("m").migrate([entry])

    assert set(objects.look("target")) == {"logs/a.txt"}


def test_history_goes_in_order_and_comes_back(objects: S3Lab, world: World) -> None:
    for value in ("one", "two"):
        objects.write("source", "a", value)
    objects.delete("source", "a")
    objects.write("source", "a", "three")
    # No tags: the embedded AWS does not find those of a version under a delete marker.
    world.clients.get("s3", SOURCE).put_object(Bucket=objects.source, Key="in/gone", Body=b"was here")
    objects.delete("source", "gone")
    objects.write("target", "a", "earlier")
    before = world.versions(objects.target)

    done = world.migrations.of("m").migrate([replace(objects.entry, history=True)])

    s3 = world.clients.get("s3", TARGET)
    listed = s3.list_object_versions(Bucket=objects.target, Prefix="out/a")
    bodies = [
        s3.get_object(Bucket=objects.target, Key="out/a", VersionId=version["VersionId"])["Body"].read()
        for version in listed["Versions"]
    ]
    assert done["status"] == "completed"
    assert bodies == [b"three", b"two", b"one", b"earlier"]
    assert len(listed["DeleteMarkers"]) == 1
    assert "gone" not in objects.look("target")
    world.migrations.of("m").rollback()
    assert world.versions(objects.target) == before


def test_large_objects_go_in_parts_with_all_that_hangs_on_them(in_parts: World) -> None:
    objects = S3Lab(in_parts)
    s3 = in_parts.clients.get("s3", SOURCE)
    for name, size in (("exact", 6 * MIB), ("over", 6 * MIB + 1), ("parts", 10 * MIB)):
        s3.put_object(
            Bucket=objects.source,
            Key=f"in/{name}",
            Body=bytes(range(256)) * (size // 256) + b"x" * (size % 256),
            ContentType="video/mp4",
            Metadata={"reel": "7"},
            Tagging="film=a%2Bb",
            ChecksumAlgorithm="SHA256",
        )
    before = in_parts.versions(objects.target)

    done = in_parts.migrations.of("m").migrate([objects.entry])

    assert done["status"] == "completed", done["problems"]
    assert objects.look("target") == objects.look("source")
    head = in_parts.clients.get("s3", TARGET).head_object(Bucket=objects.target, Key="out/over")
    assert head["ContentType"] == "video/mp4"
    assert head["ETag"].endswith('-2"')
    in_parts.migrations.of("m").rollback()
    assert in_parts.versions(objects.target) == before


def test_a_large_copy_goes_on_where_it_was(in_parts: World) -> None:
    objects = S3Lab(in_parts)
    in_parts.clients.get("s3", SOURCE).put_object(Bucket=objects.source, Key="in/big", Body=b"y" * 16 * MIB)
    in_parts.migrations.of("m").begin([objects.entry], Level.PINNED)
    granted = iter([True] * 3)  # for the item and two of its four parts
    calls = Calls(in_parts.transport)

    first = in_parts.migrations.of("m").run_batch(0, lambda: next(granted, False))
    upload = in_parts.clients.get("s3", TARGET).list_multipart_uploads(Bucket=objects.target)["Uploads"]
    in_parts.migrations.of("m").run()
    done = in_parts.migrations.of("m").finish()

    assert first.more
    assert len(upload) == 1
    assert done["status"] == "completed"
    assert calls.get(Bucket(TARGET, objects.target), "out/big").body == b"y" * 16 * MIB
    left = in_parts.clients.get("s3", TARGET).list_multipart_uploads(Bucket=objects.target)
    assert not left.get("Uploads")


def hide_metadata(world: World, *sides: str) -> list[str]:
    """From here on S3 says of every object in these buckets that it has metadata that it tells in no header."""
    once, asked = world.transport._once, []

    def tells_less(request: S3Request) -> Response:
        answer = once(request)
        if request.bucket not in sides or request.method not in ("HEAD", "GET") or not request.key:
            return answer
        asked.append(f"{request.method} {request.key}")
        return Response(answer.status, {**answer.headers, "x-amz-missing-meta": "2"}, answer.body)

    world.transport._once = tells_less  # type: ignore[method-assign]
    return asked


def test_metadata_that_a_copy_in_parts_would_lose_is_a_conflict_in_the_plan(in_parts: World) -> None:
    objects = S3Lab(in_parts)
    objects.write("source", "small", "x")
    in_parts.clients.get("s3", SOURCE).put_object(Bucket=objects.source, Key="in/big", Body=b"y" * 7 * MIB)
    asked = hide_metadata(in_parts, objects.source, objects.target)

    made = in_parts.migrations.of("p").plan([objects.entry], Level.FULL)

    ((item, reason),) = made.conflicts
    assert item == f"{objects.target}/out/big"
    assert reason.startswith("2 entries of its metadata")
    assert asked == ["HEAD in/big"]
    done = in_parts.migrations.of("m").migrate([objects.entry])
    # CopyObject keeps them.
    assert (done["status"], done["counts"]) == ("incomplete", {"written": 1, "proven": 1})
    assert [version[0] for version in in_parts.versions(objects.target)] == ["out/small"]


def test_metadata_that_nobody_saw_in_the_plan_is_not_lost_either(in_parts: World) -> None:
    objects = S3Lab(in_parts)
    in_parts.clients.get("s3", SOURCE).put_object(Bucket=objects.source, Key="in/big", Body=b"y" * 7 * MIB)
    in_parts.migrations.of("m").begin([objects.entry], Level.FULL)
    hide_metadata(in_parts, objects.source)

    answer = in_parts.migrations.of("m").run_batch(0)

    assert (answer.more, dict(answer.counts)) == (False, {"failed": 1})
    (line,) = in_parts.records("m").lines(Layout("m").results(0))
    assert "2 entries of its metadata" in line["reason"]
    assert in_parts.versions(objects.target) == []


def test_a_copy_without_metadata_that_no_header_tells_is_not_proven(objects: S3Lab, world: World) -> None:
    objects.write("source", "a", "x")
    hide_metadata(world, objects.source)
    done = world.migrations.of("m").migrate([objects.entry])
    assert (done["status"], done["problems"][0]["reason"]) == ("incomplete", "metadata differ")


@pytest.mark.parametrize("how", ["overwritten", "deleted"])
def test_a_source_that_goes_while_its_parts_are_copied_fails_by_name_and_leaves_nothing(
    how: str, in_parts: World
) -> None:
    objects, s3 = S3Lab(in_parts), in_parts.clients.get("s3", SOURCE)
    # A version from before versioning is the only one that can be written over.
    source = in_parts.bucket("old", SOURCE, versioned=False)
    s3.put_object(Bucket=source, Key="in/big", Body=b"y" * 16 * MIB)
    status: Any = lambda word: s3.put_bucket_versioning(  # noqa: E731
        Bucket=source, VersioningConfiguration={"Status": word}
    )
    status("Enabled")
    entry = replace(objects.entry, source=replace(objects.entry.source, bucket=source))
    in_parts.migrations.of("m").begin([entry], Level.FULL)
    once, parts = in_parts.transport._once, []

    def meanwhile(request: S3Request) -> Response:
        if "x-amz-copy-source-range" in request.headers:
            parts.append(request.headers)
            if len(parts) == 3 and how == "overwritten":
                status("Suspended")
                s3.put_object(Bucket=source, Key="in/big", Body=b"z" * 16 * MIB)
            elif len(parts) == 3:
                s3.delete_object(Bucket=source, Key="in/big", VersionId="null")
        return once(request)

    in_parts.transport._once = meanwhile  # type: ignore[method-assign]

    answer = in_parts.migrations.of("m").run_batch(0)

    assert (answer.more, dict(answer.counts)) == (False, {"failed": 1})
    assert {part["x-amz-copy-source-if-match"] for part in parts} == {s3_etag(b"y" * 16 * MIB)}
    assert all(part["x-amz-copy-source"].endswith("?versionId=null") for part in parts)
    (line,) = in_parts.records("m").lines(Layout("m").results(0))
    assert ("PreconditionFailed" if how == "overwritten" else "NoSuch") in line["reason"]
    target = in_parts.clients.get("s3", TARGET)
    assert not target.list_multipart_uploads(Bucket=objects.target).get("Uploads")
    assert in_parts.versions(objects.target) == []


def s3_etag(body: bytes) -> str:
    """Of an object that was written in one request, unencrypted or under S3's own key."""
    return f'"{hashlib.md5(body).hexdigest()}"'


def test_rollback_leaves_no_upload_behind(in_parts: World) -> None:
    objects = S3Lab(in_parts)
    in_parts.clients.get("s3", SOURCE).put_object(Bucket=objects.source, Key="in/big", Body=b"y" * 16 * MIB)
    in_parts.migrations.of("m").begin([objects.entry], Level.PINNED)
    granted = iter([True] * 3)
    in_parts.migrations.of("m").run_batch(0, lambda: next(granted, False))

    in_parts.migrations.of("m").rollback()

    assert not in_parts.clients.get("s3", TARGET).list_multipart_uploads(Bucket=objects.target).get("Uploads")
    assert in_parts.versions(objects.target) == []


def test_what_changes_at_the_source_meanwhile_is_copied_as_planned(objects: S3Lab, world: World) -> None:
    objects.write("source", "a", "planned")
    world.migrations.of("m").begin([objects.entry], Level.FULL)
    objects.write("source", "a", "later")

    world.migrations.of("m").run()

    assert world.migrations.of("m").finish()["status"] == "completed"
    assert objects.look("target")["a"][0] == b"planned"


def test_a_version_that_vanishes_meanwhile_fails_alone_and_by_name(objects: S3Lab, world: World) -> None:
    for key in ("a", "b", "c"):
        objects.write("source", key, key)
    world.migrations.of("m").begin([objects.entry], Level.FULL)
    s3 = world.clients.get("s3", SOURCE)
    version = s3.head_object(Bucket=objects.source, Key="in/b")["VersionId"]
    s3.delete_object(Bucket=objects.source, Key="in/b", VersionId=version)

    world.migrations.of("m").run()
    done = world.migrations.of("m").finish()

    assert done["status"] == "incomplete"
    assert [(problem["key"], problem["state"]) for problem in done["problems"]] == [("b", "failed")]
    assert "NoSuchVersion" in done["problems"][0]["reason"]
    assert set(objects.look("target")) == {"a", "c"}


def test_what_someone_writes_between_plan_and_copy_is_what_comes_back(objects: S3Lab, world: World) -> None:
    objects.write("source", "a", "new")
    objects.write("target", "a", "at planning")
    world.migrations.of("m").begin([objects.entry], Level.FULL)
    objects.write("target", "a", "in between")
    before = world.versions(objects.target)

    world.migrations.of("m").run()
    world.migrations.of("m").rollback()

    assert world.versions(objects.target) == before


def test_undo_takes_the_newest_away_first(
    objects: S3Lab, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far it comes, readers see what was there before or an older state of ours, never the newest alone."""
    for content in ("one", "two", "three"):
        objects.write("source", "a", content)
    world.migrations.of("m").migrate([replace(objects.entry, history=True)])
    delete, gone = Calls.delete_versions, 0

    def one_at_a_time(calls: Calls, bucket: Bucket, versions: list[tuple[str, str]]) -> dict[str, str]:
        nonlocal gone
        gone += 1
        assert delete(calls, bucket, versions[:1]) == {}
        return {key: "SlowDown" for key, _ in versions[1:]}

    monkeypatch.setattr(Calls, "delete_versions", one_at_a_time)
    seen = []
    for _ in range(3):
        world.migrations.of("m").rollback()
        seen.append(objects.look("target").get("a", (b"",))[0])

    assert (seen, gone) == ([b"two", b"one", b""], 3)


def test_a_lost_earlier_version_is_never_made_worse(objects: S3Lab, world: World) -> None:
    objects.write("source", "a", "new")
    objects.write("target", "a", "earlier")
    s3 = world.clients.get("s3", TARGET)
    version = s3.head_object(Bucket=objects.target, Key="out/a")["VersionId"]
    world.migrations.of("m").migrate([objects.entry])
    s3.delete_object(Bucket=objects.target, Key="out/a", VersionId=version)

    record = world.migrations.of("m").rollback()

    assert objects.look("target")["a"][0] == b"new"
    assert record["conflicts"][0]["key"] == "a"


def test_in_a_bucket_that_replicates_onward_undo_writes_forward(objects: S3Lab, world: World) -> None:
    onward = world.replicate_onward(objects.target)
    for key in ("absent", "there", "deleted"):
        objects.write("source", key, "new")
    for key in ("there", "deleted"):
        objects.write("target", key, "earlier")
    objects.delete("target", "deleted")
    before = objects.look("target")
    world.migrations.of("m").migrate([objects.entry])

    world.migrations.of("m").rollback()
    once = world.versions(objects.target)
    world.migrations.of("m").rollback()

    assert objects.look("target") == before
    mirrored = world.clients.get("s3", "us-west-2").list_objects_v2(Bucket=onward).get("Contents", [])
    assert [entry["Key"] for entry in mirrored] == ["out/there"]
    body = world.clients.get("s3", "us-west-2").get_object(Bucket=onward, Key="out/there")["Body"].read()
    assert body == b"earlier"
    assert world.versions(objects.target) == once


def test_buckets_that_cannot_be_used_are_refused_before_anything_is_written(world: World) -> None:
    good, bare = world.bucket("good", TARGET), world.bucket("bare", TARGET, versioned=False)
    source = DataLocation(SOURCE, world.bucket("source", SOURCE))
    locked = f"locked-{world.run}"
    world.clients.get("s3", TARGET).create_bucket(
        Bucket=locked,
        ObjectLockEnabledForBucket=True,
        CreateBucketConfiguration={"LocationConstraint": TARGET},
    )
    refusals: list[tuple[DataLocation, DataLocation, type[Exception], str]] = [
        (source, DataLocation(TARGET, bare), InputError, "versions"),
        (source, DataLocation(TARGET, f"absent-{world.run}"), InputError, "not there"),
        (DataLocation(SOURCE, f"absent-{world.run}"), DataLocation(TARGET, good), InputError, "not there"),
        (source, DataLocation(TARGET, locked), Refused, "Object Lock"),
    ]
    records = world.versions(world.records_bucket)
    for one, other, kind, words in refusals:
        with pytest.raises(kind, match=words):
            world.migrations.of("m").plan([Entry("s3", one, other)], Level.FULL)
        with pytest.raises(kind, match=words):
            world.migrations.of("m").begin([Entry("s3", one, other)], Level.FULL)
    assert [
        key for key, _, latest, etag in world.versions(world.records_bucket) if latest and etag != "marker"
    ] == [key for key, *_ in records]


def test_same_source_and_target_is_refused() -> None:
    place = DataLocation(SOURCE, "b", "p/")
    with pytest.raises(InputError, match="same"):
        Entry("s3", place, place)


@pytest.mark.thorough
def test_long_listings_are_whole_and_in_order(world: World) -> None:
    bucket = world.bucket("many", TARGET)
    s3 = world.clients.get("s3", TARGET)
    keys = [f"{folder}/{number:04d}" for folder in ("a", "b", "b-c", "bé", "d") for number in range(900)]
    keys += [f"loose{number}" for number in range(30)]
    in_parallel(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b""), keys)
    in_parallel(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b"2"), keys[::50])

    found = list(stacks(Calls(world.transport), Bucket(TARGET, bucket), ""))

    assert [stack.key for stack in found] == sorted(keys)
    assert sum(len(stack.versions) for stack in found) == len(keys) + len(keys[::50])


def test_request_budgets_hold(objects: S3Lab, world: World) -> None:
    """One request an object to copy (pinned), three in full, none when all is the same or goes back; and a few more."""
    count, more = 260, 60  # two batches
    s3 = world.clients.get("s3", SOURCE)
    in_parallel(
        lambda number: s3.put_object(Bucket=objects.source, Key=f"in/{number:04d}", Body=b"x" * 1024),
        list(range(count)),
    )
    asked: list[str] = []
    once = world.transport._once
    world.transport._once = lambda request: asked.append(request.method) or once(request)  # type: ignore[method-assign, func-returns-value]

    def spent() -> int:
        number = len(asked)
        asked.clear()
        return number

    world.migrations.of("m1").migrate([objects.entry], Level.PINNED)
    assert spent() <= count + more
    world.migrations.of("m2").migrate([objects.entry], Level.PINNED)
    assert spent() <= more
    world.migrations.of("m1").rollback()
    assert spent() <= more
    world.migrations.of("m3").migrate([objects.entry], Level.FULL)
    assert spent() <= 3 * count + more
    assert world.store.get(Layout("m3").metadata)


def test_planning_reads_no_records_of_migrations_between_other_places(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = S3Lab(world)
    other = replace(mine.entry, target=DataLocation(TARGET, mine.target, "elsewhere/"))
    mine.write("source", "a", "a")
    for entry, migration_id in ((mine.entry, "mine"), (other, "others")):
        world.migrations.of(migration_id).migrate([entry])
    once, asked = world.transport._once, []

    def heard(request: S3Request) -> Response:
        asked.append(request.key)
        return once(request)

    with monkeypatch.context() as patched:
        patched.setattr(world.transport, "_once", heard)
        planned = world.migrations.of("again").plan([mine.entry], Level.FULL)

    assert planned.counts["same"] == 1
    assert [key for key in asked if "mine" in key]
    assert not [key for key in asked if "others" in key]
