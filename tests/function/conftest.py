"""A primary and a secondary region, new for every test, on one embedded AWS."""

from __future__ import annotations

import pytest
from function_region import Region, build_region, join

from regionshift.local.emulator import LocalCloud


@pytest.fixture
def secondary(cloud: LocalCloud) -> Region:
    """A region that replicates nowhere."""
    return build_region(cloud, "eu-west-1")


@pytest.fixture
def primary(cloud: LocalCloud, secondary: Region) -> Region:
    """A region that replicates to ``secondary``."""
    region = build_region(cloud, "us-east-1")
    join(region, secondary)
    return region
