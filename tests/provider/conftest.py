"""A lab in one region for each test of the provider."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from provider_lab import Lab, opened

from regionshift.local.emulator import LocalCloud
from service_models import new_violations


@pytest.fixture
def lab(cloud: LocalCloud, tmp_path: Path) -> Iterator[Lab]:
    with opened(cloud, "eu-central-1", tmp_path) as lab:
        yield lab


@pytest.fixture(autouse=True)
def requests_that_aws_takes() -> Iterator[None]:
    """What the handlers sent is what AWS's own models allow; what other tests sent before is not looked at."""
    new_violations()
    yield
    assert new_violations() == []
