"""No value is in any record, answer, log or error: not when all goes well, nor when AWS repeats it in an error."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ParamValidationError
from carrier_world import SOURCE, TARGET, SecretsLab, SsmLab, World

from regionshift.carriers.carrier import Entry, Level
from regionshift.carriers.lines import entry_line
from regionshift.carriers.named_values import NamedError, Value, call
from regionshift.function.migration_worker import Worker

NEW, EARLIER = "sentinel-new-7f3a", "sentinel-earlier-7f3a"
WRITES = {
    "ssm": ("ssm", "PutParameter"),
    "secrets": ("secretsmanager", "PutSecretValue"),
}
READS = {"ssm": ("ssm", "GetParameter"), "secrets": ("secretsmanager", "GetSecretValue")}


@pytest.fixture(params=[SsmLab, SecretsLab])
def lab(request: pytest.FixtureRequest, world: World) -> SsmLab | SecretsLab:
    lab: SsmLab | SecretsLab = request.param(world)
    for name in ("k1", "k2", "b3"):
        lab.write("source", name, f"{NEW} in {SOURCE}")
    lab.write("target", "k2", EARLIER)
    return lab


@contextmanager
def repeating(lab: SsmLab | SecretsLab, region: str, service: str, operation: str) -> Iterator[None]:
    """AWS refuses the operation and repeats every value there is in its message."""
    message = f"1 validation error detected: Value '{NEW}' or '{EARLIER}' at 'value' failed"

    def refuse(**_: Any) -> Any:
        error = {"Code": "ValidationException", "Message": message}
        return AWSResponse("https://aws", 400, {}, None), {"Error": error, "ResponseMetadata": {}}

    events = lab.world.clients.get(service, region).meta.events  # type: ignore[call-overload]
    events.register(f"before-call.{service}.{operation}", refuse)
    try:
        yield
    finally:
        events.unregister(f"before-call.{service}.{operation}", refuse)


class Unseen:
    """Everything that anybody could read of a migration but the data itself."""

    def __init__(self, world: World, log: pytest.LogCaptureFixture) -> None:
        self._world, self._log = world, log
        self.told: list[str] = []

    def step(self, name: str, **event: Any) -> dict[str, Any]:
        """One call of the worker; its event and answer are what the state machine sees."""
        worker = Worker(self._world.migrations, lambda *each: self.told.append(str(each)))
        event = {"step": name, "migration_id": "m", **event}
        answer = worker.run(name, event, lambda: True)
        self.told.append(json.dumps([event, answer]))
        return answer

    def assert_clean(self) -> None:
        ours = [record.getMessage() for record in self._log.records if not record.name.startswith(_SDK)]
        everything = "\n".join([*self.told, *ours, self._world.all_records()])
        assert "ValidationException" in everything or "proven" in everything
        for value in (NEW, EARLIER):
            assert value not in everything


# At DEBUG these write requests as they go out; the program never sets them so (tests/unit/test_quiet_sdk.py).
_SDK = ("botocore", "boto3", "urllib3")


@pytest.fixture
def unseen(world: World, caplog: pytest.LogCaptureFixture) -> Unseen:
    caplog.set_level(logging.DEBUG)
    return Unseen(world, caplog)


def run_all(unseen: Unseen, entry: Entry) -> dict[str, Any]:
    unseen.step("plan", entries=[entry_line(entry)], level=Level.FULL.value)
    unseen.step("copy", batch=0)
    return unseen.step("finish")


def test_when_all_goes_well(lab: SsmLab | SecretsLab, unseen: Unseen) -> None:
    answer = run_all(unseen, lab.entry)
    assert answer["counts"] == {"written": 3, "proven": 3}
    unseen.step("undo", reason="trial")
    unseen.assert_clean()


def test_when_values_are_rewritten_the_plan_counts_and_shows_none(
    lab: SsmLab | SecretsLab, unseen: Unseen
) -> None:
    # What an entry replaces is in the settings, so in its plan too; what comes of it is not.
    entry = replace(lab.entry, rewrite=("region",))
    plan = lab.world.migrations.of("p").plan([entry], Level.FULL)
    unseen.told.append(repr(plan))
    answer = run_all(unseen, entry)
    assert answer["counts"] == {"written": 3, "proven": 3}
    unseen.assert_clean()


@pytest.mark.parametrize("when", ["writing", "reading", "undoing"])
def test_when_aws_repeats_it_in_an_error(lab: SsmLab | SecretsLab, unseen: Unseen, when: str) -> None:
    writes, reads = WRITES[lab.entry.kind], READS[lab.entry.kind]
    if when == "undoing":
        run_all(unseen, lab.entry)
        undo = ("secretsmanager", "UpdateSecretVersionStage") if lab.entry.kind == "secrets" else writes
        with repeating(lab, TARGET, *undo):
            unseen.step("undo", reason="trial")
        record = lab.world.store.get_json("rollbacks/m/rollback.json") or {}
        assert [each["reason"] for each in record["conflicts"]] == [f"{undo[1]} answered ValidationException"]
    else:
        with repeating(lab, *((TARGET, *writes) if when == "writing" else (SOURCE, *reads))):
            answer = run_all(unseen, lab.entry)
        assert answer["counts"] == {"failed": 3}
        unseen.step("undo", reason="trial")
    unseen.assert_clean()


def test_a_value_cannot_be_shown() -> None:
    assert NEW not in repr(Value(NEW, NEW.encode()))


def test_what_the_sdk_does_not_like_is_not_quoted(world: World) -> None:
    ssm = world.clients.get("ssm", TARGET)
    wrong: Any = {"Name": "a", "Value": [NEW]}
    with pytest.raises(ParamValidationError, match=NEW):
        ssm.put_parameter(**wrong)
    with pytest.raises(NamedError) as raised:
        call(ssm.put_parameter, **wrong)
    assert NEW not in f"{raised.value!r} {raised.value.__cause__!r}"
