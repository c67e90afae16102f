"""What is archived at the source is a conflict in the plan, unless it is restored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from carrier_world import SOURCE, TARGET, S3Lab, World

from regionshift.carriers.carrier import Level
from regionshift.carriers.s3.calls import read_page
from regionshift.carriers.transport import Response, S3Request

RESTORED = b"<RestoreStatus><IsRestoreInProgress>%s</IsRestoreInProgress></RestoreStatus>"
CLASSES = ("GLACIER", "DEEP_ARCHIVE", "GLACIER_IR", "STANDARD_IA", "INTELLIGENT_TIERING")


@pytest.fixture
def lab(world: World) -> S3Lab:
    lab = S3Lab(world)
    for name in CLASSES:
        write(world, lab, name)
    return lab


def write(world: World, lab: S3Lab, name: str, key: str = "") -> None:
    world.clients.get("s3", SOURCE).put_object(
        Bucket=lab.source, Key=f"in/{key or name}", Body=name.encode(), StorageClass=name
    )


def as_aws(world: World, restored: bytes) -> None:
    """As AWS: an archived object cannot be read, and a listing says which are restored when it is asked to."""
    once: Callable[[S3Request], Response] = world.transport._once

    def answered(request: S3Request) -> Response:
        answer = once(request)
        archived = answer.headers.get("x-amz-storage-class") in ("GLACIER", "DEEP_ARCHIVE")
        if request.method == "GET" and archived and "tagging" not in dict(request.query):
            body = b"<Error><Code>InvalidObjectState</Code><Message>archived</Message></Error>"
            return Response(403, {}, body)
        if ("versions", "") in request.query and restored:
            assert request.headers["x-amz-optional-object-attributes"] == "RestoreStatus"
            body = answer.body.replace(b"</Version>", RESTORED % restored + b"</Version>")
            return replace(answer, body=body)
        return answer

    world.transport._once = answered  # type: ignore[method-assign]


@pytest.mark.parametrize("restored", [b"", b"true"])
def test_archived_objects_are_conflicts_and_the_others_go(world: World, lab: S3Lab, restored: bytes) -> None:
    as_aws(world, restored)

    plan = world.migrations.of("m").plan([lab.entry], Level.FULL)
    done = world.migrations.of("m").migrate([lab.entry])

    assert plan.counts == {"new": 3, "changed": 0, "same": 0, "conflict": 2}
    assert {each["key"] for each in done["conflicts"]} == {"GLACIER", "DEEP_ARCHIVE"}
    assert all("restore it first" in each["reason"] for each in done["conflicts"])
    assert done["counts"] == {"written": 3, "proven": 3}


def test_an_older_archived_version_is_in_the_way_of_the_history_only(world: World, lab: S3Lab) -> None:
    write(world, lab, "STANDARD", "GLACIER")
    entry = replace(lab.entry, include=("GLACIER",))

    assert world.migrations.of("m").plan([entry], Level.FULL).counts["new"] == 1
    assert world.migrations.of("m").plan([replace(entry, history=True)], Level.FULL).counts["conflict"] == 1


def test_what_is_restored_is_carried_and_proven_by_what_is_stored(world: World, lab: S3Lab) -> None:
    as_aws(world, b"false")

    done = world.migrations.of("m").migrate([lab.entry])

    assert (done["status"], done["counts"]["proven"]) == ("completed", 5), done["problems"]
    head = world.clients.get("s3", TARGET).head_object(Bucket=lab.target, Key="out/GLACIER")
    assert head["StorageClass"] == "GLACIER"


def test_a_listing_says_what_is_restored() -> None:
    version = "<Version><Key>a</Key><VersionId>1</VersionId><StorageClass>GLACIER</StorageClass>%s</Version>"
    texts = ["", (RESTORED % b"true").decode(), (RESTORED % b"false").decode()]
    listed = "".join(version % text for text in texts)

    found = read_page(f"<ListVersionsResult>{listed}</ListVersionsResult>".encode()).versions

    assert [each.is_out_of_reach for each in found] == [True, True, False]
