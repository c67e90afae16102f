"""What is begun near the end of a call's time ends before it: nothing lands when nobody looks any more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from carrier_world import SOURCE, S3Lab, World

from regionshift.aws.clients import Clients
from regionshift.carriers.carrier import Level
from regionshift.carriers.s3.multipart import MultipartSizes
from regionshift.carriers.transport import Response, S3Request
from regionshift.function import migration_worker
from regionshift.local.emulator import LocalCloud

MIB = 1024**2
ONE_REQUEST = 85 * 10**6  # bytes a second that S3 gives (S3 User Guide, "Performance design patterns")


@pytest.fixture
def in_parts(cloud: LocalCloud, clients: Clients) -> Iterator[World]:
    world = World(cloud, clients, sizes=MultipartSizes(threshold=6 * MIB, part=5 * MIB, parallel=2))
    yield world
    world.transport.close()


def test_one_request_takes_a_fraction_of_what_a_call_keeps_for_it() -> None:
    sizes = MultipartSizes()

    for size in (sizes.threshold, sizes.part):
        assert size / ONE_REQUEST < migration_worker._RESERVE_MS / 1000 / 9
    assert sizes.part_size(1200 * 1024**3) == sizes.part
    assert 10_000 * sizes.part_size(5 * 1024**4) >= 5 * 1024**4


def test_parts_are_put_together_only_when_there_is_time(in_parts: World) -> None:
    lab = S3Lab(in_parts)
    in_parts.clients.get("s3", SOURCE).put_object(Bucket=lab.source, Key="in/big", Body=b"y" * 16 * MIB)
    in_parts.migrations.of("m").begin([lab.entry], Level.PINNED)
    once, copied = in_parts.transport._once, 0

    def counted(request: S3Request) -> Response:
        nonlocal copied
        answer = once(request)
        copied += "x-amz-copy-source-range" in request.headers
        return answer

    in_parts.transport._once = counted  # type: ignore[method-assign]

    first = in_parts.migrations.of("m").run_batch(0, lambda: copied < 4)

    assert (first.more, in_parts.versions(lab.target)) == (True, [])
    assert in_parts.migrations.of("m").run_batch(0).counts["proven"] == 1
    assert copied == 4, "no part is copied twice"
