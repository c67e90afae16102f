"""Ctrl-C at any moment of a deployment: it stays open, and the person is told what goes on with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from deployment_world import ModelWatch, Process, model
from model_regions import Fault, World

from regionshift.cli import status
from regionshift.cli.app import app
from regionshift.cli.failure import run
from regionshift.errors import Interrupted
from regionshift.operations.status import EnvironmentSeen, StatusReport

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


@pytest.mark.parametrize("flags", [[], ["--json"]])
@pytest.mark.parametrize("moment", ["asking", "waiting"])
def test_a_status_that_is_watched_ends_without_a_word(
    moment: str, flags: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object) -> Any:
        raise KeyboardInterrupt

    place = EnvironmentSeen("dev", "123456789012", "local", "us-east-1", 900.0, datetime.now(UTC))
    session = SimpleNamespace(store=None, identity=SimpleNamespace(scope="shop.dev"))
    monkeypatch.setattr(status, "opened", lambda *_: nullcontext(session))
    monkeypatch.setattr(status, "tools_of", lambda *_: None)
    monkeypatch.setattr(
        status, "status_of", stopped if moment == "asking" else lambda *_: StatusReport(place, {})
    )
    monkeypatch.setattr(time, "sleep", stopped)
    assert run(app, ["status", "--watch", *flags]) == 130
    out, err = capfd.readouterr()
    assert "error" not in out + err and "Interrupted" not in out + err
    assert bool(out) is (moment == "waiting"), "what was found is shown once"
