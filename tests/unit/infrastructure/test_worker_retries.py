"""The state machine's definition, as far as AWS alone would show that it is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, cast

from regionshift.carriers.executions import Executions
from regionshift.carriers.records import MigrationRecords
from regionshift.infrastructure.state_machine import definition


def test_every_call_of_the_worker_waits_for_room() -> None:
    """Step Functions Developer Guide, "Handle transient Lambda service exceptions"; the first that fits counts."""
    states = json.loads(definition("arn:aws:lambda:eu-west-1:111122223333:function:worker"))
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


def test_every_input_has_every_path_that_the_states_ask_for() -> None:
    """One that leads nowhere ends it (Step Functions Developer Guide, "Handling errors", States.Runtime)."""
    found = json.loads(definition("arn:aws:lambda:eu-west-1:111122223333:function:worker"))["States"]
    made = {state["ResultPath"] for state in found.values() if state.get("ResultPath")}
    made |= {each["ResultPath"] for state in found.values() for each in state.get("Catch", ())}
    made.remove(
        found["Workers"]["ResultPath"]
    )  # what a plan says; where only copying is asked for, the input does
    own = found["Copy"].pop("ItemProcessor")
    asked = {f"$.{name}" for name in re.findall(r"(?<!\$)\$\.(\w+)", json.dumps(found))}
    assert asked - made == {f"$.{name}" for name in _input()}
    assert found["Copy"]["MaxConcurrencyPath"] == found["Workers"]["ResultPath"] == "$.workers"
    of_item = {name.removesuffix(".$") for name in found["Copy"]["ItemSelector"]}
    assert set(re.findall(r"\$\.(\w+)", json.dumps(own))) == of_item | {"answer"}


def _input() -> list[str]:
    """What a started execution is given."""
    given: dict[str, Any] = {}

    class Machine:
        def start_execution(self, *, input: str, **_: Any) -> None:
            given.update(json.loads(input))

    class Store:
        bucket = "records"

        def names(self, _: str) -> list[str]:
            return []

        def create(self, *_: Any) -> bool:
            return True

    records = MigrationRecords(cast(Any, Store()), "m")
    Executions(records, cast(Any, Machine()), "arn:aws:states:eu-west-1:111122223333:stateMachine:m").start(
        "plan"
    )
    return list(given)


def _tasks(states: Any) -> Iterator[dict[str, Any]]:
    for state in states.values() if isinstance(states, dict) else ():
        if isinstance(state, dict):
            if state.get("Type") == "Task":
                yield state
            yield from _tasks(state)
