"""The embedded Step Functions begins at once; whether it still needs our help for it."""

from __future__ import annotations

import inspect
import time
from types import SimpleNamespace

import pytest
from ministack.services import stepfunctions

from regionshift.local import speed
from regionshift.local.speed import PAUSE, without_pause


def test_only_that_pause_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    # Not `time` itself, which other threads of this process sleep by.
    monkeypatch.setattr(speed, "time", SimpleNamespace(sleep=slept.append, time=time.time))
    embedded = without_pause()
    for seconds in (PAUSE, 0.5, 0):
        embedded.sleep(seconds)
    assert slept == [0.5, 0]
    assert embedded.time is time.time


def test_the_emulator_still_waits_there_and_nowhere_else_for_as_long() -> None:
    assert inspect.getsource(stepfunctions._run_execution).count(f"time.sleep({PAUSE})") == 1
    assert inspect.getsource(stepfunctions).count(f"sleep({PAUSE})") == 1
