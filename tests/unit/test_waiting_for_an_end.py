"""The end of an execution is seen soon, and few questions are asked until then."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from regionshift.operations.migrations.carrying import Carrying, Look, no_forecast
from regionshift.waiting import AT_ONCE


class _Execution:
    """One that runs for ``seconds`` of a clock that only waiting moves."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.clock, self.asked, self.looked = seconds, 0.0, 0, 0

    def wait(self, look: Look) -> None:
        clients = SimpleNamespace(call=self._describe)
        nothing = cast(Any, None)
        environment = cast(Any, SimpleNamespace(clients=clients, waiter=AT_ONCE))
        carrying = Carrying(environment, nothing, nothing, lambda: datetime.now(UTC), self._sleep)
        found = carrying.wait_for_end("eu-west-1", "arn", look)
        assert found["status"] == "SUCCEEDED"

    def foretells(self) -> float | None:
        """Half way the first batch is done, and says when the last will be."""
        self.looked += 1
        return self.seconds - self.clock if self.clock >= self.seconds / 2 else None

    def _sleep(self, seconds: float) -> None:
        self.clock += seconds

    def _describe(self, *_: str, **__: str) -> dict[str, str]:
        self.asked += 1
        return {"status": "RUNNING" if self.clock < self.seconds else "SUCCEEDED"}


@given(st.floats(0.01, 4 * 3600))
def test_it_is_seen_late_by_a_share_of_what_it_took(seconds: float) -> None:
    execution = _Execution(seconds)
    execution.wait(no_forecast)
    late = execution.clock - seconds
    assert late <= max(0.06, min(seconds / 8, 0.2), min(seconds / 16, 5.0)) + 1e-6
    assert execution.asked <= 90 + seconds / 5


@given(st.floats(0.5, 600))
def test_what_is_foretold_is_seen_when_it_comes(seconds: float) -> None:
    execution = _Execution(seconds)
    execution.wait(execution.foretells)
    assert execution.clock - seconds <= 0.06 + 1e-6
    assert execution.looked <= execution.asked
