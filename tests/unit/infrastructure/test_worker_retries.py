"""The state machine's definition, as far as AWS alone would show that it is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from regionshift.infrastructure.state_machine import definition


def test_every_call_of_the_worker_waits_for_room() -> None:
    """Step Functions Developer Guide, "Handle transient Lambda service exceptions"; the first that fits counts."""
    states = json.loads(definition("arn:aws:lambda:eu-west-1:111122223333:function:worker", 40))
    retried = [task["Retry"] for task in _tasks(states)]
    assert len(retried) >= 5
    for first, *others in retried:
        assert first["ErrorEquals"] == ["Lambda.TooManyRequestsException"]
        waits = [
            min(first["IntervalSeconds"] * first["BackoffRate"] ** n, first["MaxDelaySeconds"])
            for n in range(30)
        ]
        assert first["MaxAttempts"] >= 30 and sum(waits) > 15 * 60, "longer than a worker's longest call"
        assert first["JitterStrategy"] == "FULL"
        assert [each["ErrorEquals"] for each in others] == [["States.ALL"]]


def _tasks(states: Any) -> Iterator[dict[str, Any]]:
    for state in states.values() if isinstance(states, dict) else ():
        if isinstance(state, dict):
            if state.get("Type") == "Task":
                yield state
            yield from _tasks(state)
