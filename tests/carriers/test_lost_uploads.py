"""An upload that a killed call made and did not live to note is found again; other people's are left alone."""

from __future__ import annotations

from typing import Any

import pytest
from carrier_world import SOURCE, TARGET, S3Lab, World

from regionshift.aws.clients import Clients
from regionshift.carriers.carrier import Level
from regionshift.carriers.s3.multipart import MultipartSizes
from regionshift.carriers.transport import Response, S3Request
from regionshift.local.emulator import LocalCloud

MIB = 1024**2


class KilledError(BaseException):
    """Stands for SIGKILL: nothing handles it."""


@pytest.fixture
def orphaned(cloud: LocalCloud, clients: Clients) -> tuple[World, S3Lab, str]:
    """A migration killed between making an upload and noting it, beside somebody else's upload."""
    world = World(cloud, clients, sizes=MultipartSizes(threshold=6 * MIB, part=5 * MIB, parallel=2))
    lab = S3Lab(world)
    world.clients.get("s3", SOURCE).put_object(Bucket=lab.source, Key="in/big", Body=b"y" * 7 * MIB)
    s3 = world.clients.get("s3", TARGET)
    theirs: str = s3.create_multipart_upload(Bucket=lab.target, Key="out/big")["UploadId"]
    longer: str = s3.create_multipart_upload(Bucket=lab.target, Key="out/bigger")["UploadId"]
    world.migrations.of("m").begin([lab.entry], Level.PINNED)
    once = world.transport._once

    def deadly(request: S3Request) -> Response:
        answer = once(request)
        if request.method == "POST" and request.query == (("uploads", ""),):
            raise KilledError
        return answer

    for _ in range(2):
        world.transport._once = deadly  # type: ignore[method-assign]
        with pytest.raises(KilledError):
            world.migrations.of("m").run_batch(0)
        world.transport._once = once  # type: ignore[method-assign]
    assert uploads(world, lab) > {theirs, longer}
    return world, lab, f"{theirs} {longer}"


def uploads(world: World, lab: S3Lab) -> set[str]:
    found: Any = world.clients.get("s3", TARGET).list_multipart_uploads(Bucket=lab.target)
    return {upload["UploadId"] for upload in found.get("Uploads", [])}


def test_going_on_leaves_only_what_others_began(orphaned: tuple[World, S3Lab, str]) -> None:
    world, lab, others = orphaned

    world.migrations.of("m").run()

    assert world.migrations.of("m").finish()["status"] == "completed"
    assert uploads(world, lab) == set(others.split())


def test_taking_back_leaves_only_what_others_began(orphaned: tuple[World, S3Lab, str]) -> None:
    world, lab, others = orphaned

    world.migrations.of("m").rollback()

    assert uploads(world, lab) == set(others.split())
    assert world.versions(lab.target) == []
