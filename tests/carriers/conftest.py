"""A world of its own for every test of the carriers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from carrier_world import LABS, Lab, World

from regionshift.aws.clients import Clients
from regionshift.local.emulator import LocalCloud


@pytest.fixture
def world(cloud: LocalCloud, clients: Clients) -> Iterator[World]:
    world = World(cloud, clients)
    yield world
    world.transport.close()


@pytest.fixture(
    params=[
        *sorted(LABS),
        # `make test` keeps these etags where they are compared: test_any_before_state.py, test_copy_ownership.py.
        *(
            pytest.param(each, marks=pytest.mark.thorough)
            for each in ("s3 under KMS", "s3 under KMS, no checksums")
        ),
    ]
)
def lab(request: pytest.FixtureRequest, world: World) -> Lab:
    """Every kind of data; objects under both kinds of etag."""
    kind, _, etags = str(request.param).partition(" ")
    if etags:
        world.under_kms(checksums="no checksums" not in etags)
    return LABS[kind](world)
