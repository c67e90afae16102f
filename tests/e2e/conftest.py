"""Folders for the end-to-end tests; each test module has one embedded AWS of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from e2e_place import Place, settings

from service_models import new_violations, record

# Whatever a story is about, its folder holds the signs that URLs, shells and patterns read as something else.
ODD = "a b ü+#%[x]:y?"


@pytest.fixture(scope="module")
def make_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Place]]:
    """Makes a folder with settings; its embedded AWS goes when the module ends."""
    made: list[Place] = []

    def make(**more: Any) -> Place:
        place = Place(tmp_path_factory.mktemp("place") / ODD, settings(**more))
        place.write()
        record(place.folder / ".regionshift/cloud")
        made.append(place)
        return place

    yield make
    for place in made:
        place.close()


@pytest.fixture(autouse=True)
def requests_that_aws_takes() -> Iterator[None]:
    """Whatever was sent to an embedded AWS by a test, or to set it up, is what AWS's own models allow."""
    yield
    assert new_violations() == []
