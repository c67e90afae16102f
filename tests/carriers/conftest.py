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


@pytest.fixture(params=sorted(LABS))
def lab(request: pytest.FixtureRequest, world: World) -> Lab:
    return LABS[request.param](world)
