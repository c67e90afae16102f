"""What goes wrong while a migration runs: throttling, failed batches, deletions, tags of all kinds."""

from __future__ import annotations

import random
import unicodedata
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from botocore.exceptions import ClientError
from carrier_world import SOURCE, TARGET, S3Lab, World, in_parallel
from hypothesis import settings
from stubborn_server import SLOW_DOWN

from regionshift.carriers import named_values
from regionshift.carriers.carrier import Level
from regionshift.carriers.plan import BATCH_ITEMS, Asked
from regionshift.carriers.records import Layout
from regionshift.carriers.s3.calls import read_page
from regionshift.carriers.transport import Response, S3Error, S3Request
from regionshift.errors import InputError, WorkFailed

CONTROLS = ["tab\tnewline\n", "delete\x7f", "line\u2028", "\ufeffbom", "\u202eleft", "\ud7ff\ue000\ufdd0"]


@pytest.fixture
def lab(world: World) -> S3Lab:
    return S3Lab(world)


def test_keys_that_xml_cannot_hold_are_read_as_s3_encodes_them() -> None:
    """The embedded AWS does not encode keys in listings, so it cannot list these; AWS does when asked."""
    keys = ["bell\x07", "escape\x1b[31m", "return\r", "plus+and space", "null\x00"]
    listed = "".join(
        f"<Version><Key>{quote_plus(key)}</Key><VersionId>1</VersionId><IsLatest>true</IsLatest></Version>"
        for key in keys
    )
    body = f"<ListVersionsResult><EncodingType>url</EncodingType>{listed}</ListVersionsResult>".encode()
    assert [version.key for version in read_page(body).versions] == keys
    with pytest.raises(WorkFailed, match="cannot be read"):
        read_page(b"<ListVersionsResult><Key>\x07</Key></ListVersionsResult>")


def test_keys_of_control_and_invisible_characters_arrive_and_go_back(world: World, lab: S3Lab) -> None:
    for key in CONTROLS:
        lab.write("source", key, f"of {key!r}")
    lab.write("target", CONTROLS[0], "earlier")
    before = world.migrations.of("p").plan([lab.entry], Level.FULL).counts

    done = world.migrations.of("m").migrate([lab.entry])

    assert done["status"] == "completed", done["problems"]
    assert done["counts"]["proven"] == len(CONTROLS)
    world.migrations.of("m").rollback()
    assert world.migrations.of("p").plan([lab.entry], Level.FULL).counts == before


def strange_tags(chance: random.Random) -> dict[str, str]:
    """Ten tags of characters that S3 allows (S3 User Guide, "Categorizing your storage using tags")."""
    letters = [
        chr(code)
        for code in range(0x20, 0x3000)
        if unicodedata.category(chr(code)) in ("Lu", "Ll", "Lo", "Nd", "Zs") or chr(code) in "+-=._:/@"
    ]

    def text(most: int) -> str:
        return "".join(chance.choices(letters, k=chance.randint(1, most))).strip() or "x"

    return {f"{number}{text(100)}": text(200) for number in range(10)}


def test_hundreds_of_strange_tags_survive(world: World, lab: S3Lab) -> None:
    chance = random.Random(7)
    objects = 2 * settings.default.max_examples
    tags = {f"{number:03d}": strange_tags(chance) for number in range(objects)}
    s3, there = world.clients.get("s3", SOURCE), world.clients.get("s3", TARGET)
    in_parallel(
        lambda key: s3.put_object(
            Bucket=lab.source, Key=f"in/{key}", Body=b"x", Tagging=urlencode(tags[key])
        ),
        list(tags),
    )

    done = world.migrations.of("m").migrate([lab.entry])

    assert (done["status"], done["counts"]["proven"]) == ("completed", objects), done["problems"]
    for key in list(tags)[::20]:
        found = there.get_object_tagging(Bucket=lab.target, Key=f"out/{key}")["TagSet"]
        assert {tag["Key"]: tag["Value"] for tag in found} == tags[key]


def test_what_is_deleted_at_the_source_meanwhile_is_copied_as_planned(world: World, lab: S3Lab) -> None:
    for key in ("a", "b"):
        # No tags: the embedded AWS does not find those of a version under a delete marker.
        world.clients.get("s3", SOURCE).put_object(Bucket=lab.source, Key=f"in/{key}", Body=key.encode())
    world.migrations.of("m").begin([lab.entry], Level.FULL)
    lab.delete("source", "a")

    world.migrations.of("m").run()

    assert world.migrations.of("m").finish()["status"] == "completed"
    assert set(lab.look("target")) == {"a", "b"}


def test_throttling_slows_the_pool_and_loses_nothing(world: World, lab: S3Lab) -> None:
    for number in range(40):
        lab.write("source", f"{number:02d}", "x")
    once = world.transport._once
    refused: set[str] = set()
    limits: list[int] = []

    def throttled(request: S3Request) -> Response:
        limits.append(world.transport.pace.limit)
        if "x-amz-copy-source" in request.headers and request.key not in refused:
            refused.add(request.key)
            return Response(SLOW_DOWN[0], {}, SLOW_DOWN[1])
        return once(request)

    world.transport._once = throttled  # type: ignore[method-assign]
    world.transport._sleep = lambda _: None

    done = world.migrations.of("m").migrate([lab.entry], Level.PINNED)

    assert done["status"] == "completed"
    assert len(refused) == 40
    assert min(limits) == 1
    assert len(world.versions(lab.target)) == 40


def test_parameters_and_secrets_wait_when_called_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(named_values.time, "sleep", waits.append)

    def often(code: str, times: int) -> Any:
        left = [ClientError({"Error": {"Code": code, "Message": "private"}}, "PutParameter")] * times

        def operation() -> str:
            if left:
                raise left.pop()
            return "done"

        return operation

    assert named_values.call(often("ThrottlingException", 3)) == "done"
    assert waits == sorted(waits)
    assert len(waits) == 3
    with pytest.raises(named_values.NamedError, match="AccessDenied") as refused:
        named_values.call(often("AccessDenied", 1))
    assert "private" not in str(refused.value)


def test_a_batch_that_failed_is_run_again_and_copies_nothing_twice(world: World, lab: S3Lab) -> None:
    for number in range(10):
        lab.write("source", f"{number}", "x")
    world.migrations.of("m").begin([lab.entry], Level.FULL)
    once = world.transport._once

    def failing(request: S3Request) -> Response:
        if request.key == Layout("m").results(0) and request.method == "PUT":
            return Response(403, {}, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
        return once(request)

    world.transport._once = failing  # type: ignore[method-assign]
    with pytest.raises(S3Error):
        world.migrations.of("m").run_batch(0)
    world.transport._once = once  # type: ignore[method-assign]

    assert world.migrations.of("m").run_batch(0).counts["proven"] == 10
    assert len(world.versions(lab.target)) == 10


def test_items_of_a_batch_that_never_succeeds_are_named(world: World, lab: S3Lab) -> None:
    for number in range(BATCH_ITEMS + 5):
        lab.write("source", f"{number:03d}", "x")
    world.migrations.of("m").begin([lab.entry], Level.PINNED)
    world.migrations.of("m").run_batch(0)

    done = world.migrations.of("m").finish()

    assert (done["status"], done["batches_missing"]) == ("incomplete", 1)
    assert [problem["key"] for problem in done["problems"]] == [
        f"{number}" for number in range(BATCH_ITEMS, BATCH_ITEMS + 5)
    ]
    assert "batch 1" in done["problems"][0]["reason"]


def test_keys_that_were_asked_for_and_are_missing_are_named_before_anything_is_written(
    world: World, lab: S3Lab
) -> None:
    lab.write("source", "there", "x")
    asked = Asked(keys=["in/there", "in/missing"])

    with pytest.raises(InputError, match="in/missing") as told:
        world.migrations.of("m").begin([lab.entry], Level.PINNED, asked=asked)

    assert "in/there" not in told.value.message
    assert world.versions(lab.target) == []
    assert world.migrations.of("m").known([lab.entry]) is None
    lab.write("source", "missing", "y")
    assert world.migrations.of("m").begin([lab.entry], Level.PINNED, asked=asked)["plan"]["new"] == 2
