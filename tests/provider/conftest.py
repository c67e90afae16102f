"""A lab in one region for each test of the provider."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from provider_lab import Lab, opened

from regionshift.local.emulator import LocalCloud


@pytest.fixture
def lab(cloud: LocalCloud, tmp_path: Path) -> Iterator[Lab]:
    with opened(cloud, "eu-central-1", tmp_path) as lab:
        yield lab
