"""An object's website redirect, which CopyObject leaves out on AWS, arrives where everything is proven."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from carrier_world import SOURCE, TARGET, S3Lab, World

from regionshift.carriers.carrier import Level
from regionshift.carriers.records import Layout
from regionshift.carriers.transport import Response, S3Request

REDIRECT = "x-amz-website-redirect-location"


class KilledError(BaseException):
    """Stands for SIGKILL: nothing handles it."""


class Aws:
    """As AWS: the redirect is not copied, and taken when it is given (S3 API Reference, "CopyObject")."""

    def __init__(self, world: World) -> None:
        self._once = world.transport._once
        self.without: set[str] = set()
        self.copies = 0
        self.die_at: tuple[str, int] | None = None
        world.transport._once = self.answer  # type: ignore[method-assign]

    def answer(self, request: S3Request) -> Response:
        copies = "x-amz-copy-source" in request.headers
        self.copies += copies
        if self.die_at == ("copy", self.copies) and copies:
            raise KilledError
        answer = self._once(request)
        version = answer.headers.get("x-amz-version-id", "")
        if copies and REDIRECT not in request.headers:
            self.without.add(version)
        if self.die_at == ("delete", self.copies) and request.method == "DELETE":
            raise KilledError
        if version in self.without:
            return replace(
                answer, headers={name: t for name, t in answer.headers.items() if name != REDIRECT}
            )
        return answer


@pytest.fixture
def aws(world: World) -> Iterator[Aws]:
    yield Aws(world)


@pytest.fixture
def lab(world: World) -> S3Lab:
    lab = S3Lab(world)
    lab.write("source", "page", "a page")
    lab.write("target", "page", "earlier")
    for key, body in (("moved", b""), ("large", b"x" * 2 * 1024**2)):
        redirect(world, lab, key, body)
    return lab


def redirect(world: World, lab: S3Lab, key: str, body: bytes) -> None:
    s3 = world.clients.get("s3", SOURCE)
    s3.put_object(Bucket=lab.source, Key=f"in/{key}", Body=body, WebsiteRedirectLocation="/page")


def arrived(world: World, lab: S3Lab) -> dict[str, str | None]:
    s3 = world.clients.get("s3", TARGET)
    return {
        key: s3.head_object(Bucket=lab.target, Key=f"out/{key}").get("WebsiteRedirectLocation")
        for key in ("page", "moved", "large")
    }


def test_redirects_arrive_and_go_back(world: World, lab: S3Lab, aws: Aws) -> None:
    before = world.versions(lab.target)

    done = world.migrations.of("m").migrate([lab.entry])

    assert (done["status"], done["counts"]["proven"]) == ("completed", 3), done["problems"]
    assert arrived(world, lab) == {"page": None, "moved": "/page", "large": "/page"}
    assert len(world.versions(lab.target)) == 4, "what was written first is gone"
    assert aws.copies == 5
    assert world.migrations.of("again").migrate([lab.entry])["plan"]["same"] == 3
    world.migrations.of("m").rollback()
    assert world.versions(lab.target) == before


def test_redirects_that_were_there_before_come_back_where_it_is_written_forward(
    world: World, lab: S3Lab, aws: Aws
) -> None:
    there = world.clients.get("s3", TARGET)
    for key in ("moved", "plain"):
        there.put_object(Bucket=lab.target, Key=f"out/{key}", Body=b"x", WebsiteRedirectLocation="/earlier")
    lab.write("source", "plain", "without a redirect")
    world.replicate_onward(lab.target)
    world.migrations.of("m").migrate([lab.entry])
    assert arrived(world, lab) == {"page": None, "moved": "/page", "large": "/page"}

    assert world.migrations.of("m").rollback()["counts"] == {"undone": 4}

    back = {key: there.head_object(Bucket=lab.target, Key=f"out/{key}") for key in ("page", "moved", "plain")}
    shown = {
        # The embedded AWS copies what AWS leaves out.
        key: None if head["VersionId"] in aws.without else head.get("WebsiteRedirectLocation")
        for key, head in back.items()
    }
    assert shown == {"page": None, "moved": "/earlier", "plain": "/earlier"}


def test_a_history_with_a_redirect_keeps_its_order(world: World, lab: S3Lab, aws: Aws) -> None:
    redirect(world, lab, "page", b"moved")
    lab.write("source", "page", "back again")

    done = world.migrations.of("m").migrate([replace(lab.entry, history=True)])

    assert done["status"] == "completed", done["problems"]
    assert aws.copies == 10
    s3 = world.clients.get("s3", TARGET)
    listed = s3.list_object_versions(Bucket=lab.target, Prefix="out/page")["Versions"]
    found = [s3.get_object(Bucket=lab.target, Key="out/page", VersionId=each["VersionId"]) for each in listed]
    assert [each["Body"].read() for each in found] == [b"back again", b"moved", b"a page", b"earlier"]
    assert [each.get("WebsiteRedirectLocation") for each in found] == [None, "/page", None, None]


@pytest.mark.parametrize("at", [("delete", 3), ("copy", 4), ("copy", 5)])
def test_killed_while_writing_again(world: World, lab: S3Lab, aws: Aws, at: tuple[str, int]) -> None:
    before = world.versions(lab.target)
    for migration_id, go_on in (("back", False), ("on", True)):
        world.migrations.of(migration_id).begin([lab.entry], Level.FULL)
        # As after a call whose time ran out before the proof: the first copies are on record.
        world.carriers["s3"].verify, verify = (lambda *_: iter(())), world.carriers["s3"].verify  # type: ignore
        world.migrations.of(migration_id).run_batch(0)
        world.carriers["s3"].verify = verify  # type: ignore[method-assign]
        aws.copies, aws.die_at = 3, at
        with pytest.raises(KilledError):
            world.migrations.of(migration_id).run_batch(0)
        aws.die_at = None

        if go_on:
            world.migrations.of(migration_id).run()
            assert world.migrations.of(migration_id).finish()["status"] == "completed"
            assert arrived(world, lab)["moved"] == "/page"
            assert len(world.versions(lab.target)) == 4
        world.migrations.of(migration_id).rollback()
        assert world.versions(lab.target) == before


def test_without_time_to_write_again_there_is_more_to_do(world: World, lab: S3Lab, aws: Aws) -> None:
    world.migrations.of("m").begin([lab.entry], Level.FULL)
    granted = iter([True] * 6)  # three copies and their proofs

    first = world.migrations.of("m").run_batch(0, lambda: next(granted, False))

    assert (first.more, first.counts["unfinished"], aws.copies) == (True, 2, 3)
    assert world.store.get(Layout("m").results(0))
    assert world.migrations.of("m").run_batch(0).counts["proven"] == 3
    assert len(world.versions(lab.target)) == 4
