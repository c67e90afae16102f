"""What an unfinished deployment leaves out is destroyed with the rest; what is fenced stops it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from model_regions import OTHER, World

from regionshift.errors import Refused
from regionshift.operations.destroy import propose_destroy
from regionshift.operations.environment import Environment, RegionScope

pytestmark = pytest.mark.component


class Nothing:
    """An engine whose state is empty."""

    def resources(self) -> list[dict[str, Any]]:
        return []


def _environment(tmp_path: Path, *, fenced: bool) -> Environment:
    release = World(tmp_path).release(0)
    left = frozenset({OTHER})
    return Environment(
        config=release.config,
        clients=cast(Any, None),
        engine=cast(Any, Nothing()),
        program=cast(Any, None),
        release=lambda: release,
        state_dir=tmp_path,
        now=lambda: datetime.now(UTC),
        scope=RegionScope(left, fenced=left if fenced else frozenset()),
    )


def test_a_region_that_is_left_out_is_called_to_be_destroyed(tmp_path: Path) -> None:
    environment = _environment(tmp_path, fenced=False).calling_left_out()
    assert OTHER in environment.regions
    assert propose_destroy(environment).is_empty


def test_a_region_that_is_fenced_is_not(tmp_path: Path) -> None:
    environment = _environment(tmp_path, fenced=True).calling_left_out()
    with pytest.raises(Refused, match=OTHER) as refused:
        propose_destroy(environment)
    assert "--rejoin" in str(refused.value.remedy)
