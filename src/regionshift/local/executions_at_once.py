"""Executions begin when they are started: the embedded Step Functions would sleep first, as AWS does not.

Every migration and every way back is an execution, and says how long it took.
"""

from __future__ import annotations

import time
import types

PAUSE = 0.15  # seconds; what the emulator waits before the first step of an execution, and nowhere else


def install() -> None:
    """Put it into the running ministack."""
    from ministack.services import stepfunctions  # type: ignore[import-untyped]

    stepfunctions.time = without_pause()


def without_pause() -> types.ModuleType:
    """The module `time`, whose ``sleep`` does not wait for just that long."""

    def sleep(seconds: float) -> None:
        if seconds != PAUSE:
            time.sleep(seconds)

    module = types.ModuleType("time")
    module.__dict__.update(vars(time) | {"sleep": sleep})
    return module
