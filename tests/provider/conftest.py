"""One embedded AWS for all tests of the provider, and a lab in one region for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from provider_lab import Lab, opened

from regionshift.local import emulator
from regionshift.local.emulator import LocalCloud


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    folder = tmp_path_factory.mktemp("cloud")
    yield emulator.up(folder, "123456789012")
    emulator.down(folder, wipe=True)


@pytest.fixture
def lab(cloud: LocalCloud, tmp_path: Path) -> Iterator[Lab]:
    with opened(cloud, "eu-central-1", tmp_path) as lab:
        yield lab
