"""The parts of the other component tests that these use, and three regions for each file of tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from fault_process import up_at_the_old_release
from fault_world import WAVES, World

from regionshift.aws.clients import Clients
from regionshift.errors import InputError
from regionshift.local.emulator import LocalCloud


@pytest.fixture(scope="module")
def standing(
    request: pytest.FixtureRequest,
    cloud: LocalCloud,
    clients: Clients,
    tmp_path_factory: pytest.TempPathFactory,
) -> World:
    """The regions of the file's ``PROJECT``, up at the old release."""
    project, waves = request.module.PROJECT, getattr(request.module, "WAVES", WAVES)
    try:
        world = World(project, tmp_path_factory.mktemp(project), cloud, clients, waves)
    except InputError as missing:
        pytest.skip(str(missing))
    return up_at_the_old_release(world)
