"""Ctrl-C at any moment of a deployment: it stays open, and the person is told what goes on with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deployment_world import ModelWatch, Process, model
from model_regions import Fault, World

from regionshift.errors import Interrupted

pytestmark = pytest.mark.component
__all__ = ["model"]


@pytest.fixture
def world(tmp_path: Path, model: Callable[[World], World]) -> World:
    world = model(World(tmp_path / "world", {}, wanted=0))
    Process(world).up()
    world.wanted = 1
    return world


def _says_what_goes_on(stopped: Interrupted, world: World) -> None:
    (view,) = Process(world).journal.unfinished()
    assert stopped.where == view.run_id
    assert stopped.remedy is not None
    assert "regionshift resume`" in stopped.remedy
    assert "regionshift resume --back`" in stopped.remedy


def test_in_the_engine(world: World) -> None:
    with pytest.raises(Interrupted) as stopped:
        Process(world, [Fault("step", "interrupt", at=1)]).up()
    _says_what_goes_on(stopped.value, world)


def test_in_a_bake(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def bake(*_: Any, **__: Any) -> dict[str, object]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(Interrupted) as stopped:
        patched.setattr(ModelWatch, "bake", bake)
        Process(world).up()
    _says_what_goes_on(stopped.value, world)
    Process(world).resume()
    assert not Process(world).is_open
