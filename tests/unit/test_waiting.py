"""One bounded wait: who is answered well waits for nothing, and the last answer is believed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from signal import SIGINT, default_int_handler, pthread_kill, signal
from threading import get_ident
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from regionshift.function.clients import of_session
from regionshift.local.weather import WEATHERS
from regionshift.operations.checks.base import Check, CheckContext, Wrong, run_checks
from regionshift.operations.checks.function import FunctionCheck, invoke
from regionshift.session import waiter_of
from regionshift.waiting import AT_ONCE, Waiter


class Slept(list[float]):
    """The pauses, which are all the time that passes."""

    def waiter(self, seconds: float) -> Waiter:
        return Waiter(seconds, lambda: sum(self), self.append)


@pytest.fixture
def slept() -> Slept:
    return Slept()


def test_what_is_good_at_once_costs_no_wait(slept: Slept) -> None:
    assert slept.waiter(60).until(lambda: 1, lambda found: found == 1) == 1
    assert slept.waiter(60).past(lambda: 1, lambda _: True) == 1
    assert slept == []


def test_the_last_answer_is_believed_when_the_time_is_over(slept: Slept) -> None:
    asked: list[int] = []
    assert slept.waiter(60).until(lambda: asked.append(1) or len(asked), lambda _: False) == len(asked)
    assert sum(slept) == pytest.approx(60)
    assert len(asked) < 15
    assert all(pause <= 15 for pause in slept)
    assert AT_ONCE.until(lambda: "first", lambda _: False) == "first"


def test_what_passes_is_waited_for_and_the_rest_is_raised(slept: Slept) -> None:
    def late() -> str:
        if sum(slept) < 5:
            raise LookupError("not yet")
        return "there"

    assert slept.waiter(60).past(late, lambda error: isinstance(error, LookupError)) == "there"
    slept.clear()
    with pytest.raises(LookupError):
        slept.waiter(60).past(late, lambda error: isinstance(error, KeyError))
    assert slept == []
    with pytest.raises(LookupError):
        slept.waiter(3).past(late, lambda _: True)


def test_one_time_is_shared_by_all_waits_of_a_started_waiter(slept: Slept) -> None:
    waiter = slept.waiter(10).started()
    for _ in range(3):
        waiter.until(lambda: None, lambda _: False)
    assert sum(slept) == pytest.approx(10)


class Late(Check):
    """Wrong until ``at`` seconds have passed."""

    name: ClassVar[str] = "late"

    def __init__(self, slept: Slept, at: float, error: Exception) -> None:
        self._slept, self._at, self._error = slept, at, error

    def ask(self, context: CheckContext, region: str) -> str:
        del context, region
        if sum(self._slept) < self._at:
            raise self._error
        return "as it should be"


class Patient(Late):
    """Has waited already."""

    waits_itself = True


GONE = ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "DescribeSecret")
DENIED = ClientError({"Error": {"Code": "AccessDenied"}}, "DescribeSecret")


@pytest.mark.parametrize(
    ("kind", "error", "at", "outcome", "waited"),
    [
        (Late, Wrong("not yet"), 5, "passed", True),
        (Late, GONE, 5, "passed", True),
        (Late, Wrong("never"), 500, "failed", True),
        (Late, DENIED, 5, "failed", False),
        (Patient, Wrong("waited"), 5, "failed", False),
    ],
)
def test_a_check_judges_what_may_be_stale_after_a_wait(
    slept: Slept, kind: type[Late], error: Exception, at: float, outcome: str, waited: bool
) -> None:
    nothing: Any = None
    context = CheckContext(
        nothing, nothing, nothing, lambda: datetime.now(UTC), waiter=slept.waiter(120), clock=lambda: 0.0
    )
    (result,) = run_checks([kind(slept, at, error)], context, ["eu-west-1"])
    assert (result.outcome, bool(slept)) == (outcome, waited)
    assert sum(slept) <= 121


@pytest.mark.parametrize("code", ["ResourceConflictException", "ResourceNotReadyException"])
def test_a_function_that_is_still_pending_is_called_again(slept: Slept, code: str) -> None:
    class Lambda:
        def invoke(self, **_: Any) -> dict[str, Any]:
            if sum(slept) < 5:
                raise ClientError({"Error": {"Code": code}}, "Invoke")
            return {"Payload": SimpleNamespace(read=lambda: b'{"body": "{\\"status\\": \\"success\\"}"}')}

    outputs: Any = SimpleNamespace(get=lambda *_: "function")
    clients: Any = SimpleNamespace(get=lambda *_: Lambda())
    nothing: Any = None
    context = CheckContext(nothing, outputs, clients, lambda: datetime.now(UTC), waiter=slept.waiter(60))
    assert invoke(context, "eu-west-1", {})["status"] == "success"


def test_a_check_of_the_function_that_fails_is_told_in_one_sentence() -> None:
    wanted = "s3:GetBucketVersioning orders-1: Enabled"
    found = [
        {"asked": "s3:HeadBucket orders-1: reachable", "answer": "reachable", "ok": True},
        {"asked": wanted, "answer": "Suspended", "ok": False},
        {"asked": "s3:GetPublicAccessBlock orders-1: all four on", "answer": "off", "ok": False},
    ]
    body = {
        "status": "error",
        "validation_results": {"s3": False, "kms": True},
        "details": {"s3": found, "kms": found},
    }
    answer = json.dumps({"body": json.dumps(body)}).encode()
    called: Any = SimpleNamespace(invoke=lambda **_: {"Payload": SimpleNamespace(read=lambda: answer)})
    outputs: Any = SimpleNamespace(get=lambda *_: "function")
    clients: Any = SimpleNamespace(get=lambda *_: called)
    nothing: Any = None
    context = CheckContext(nothing, outputs, clients, lambda: datetime.now(UTC))
    with pytest.raises(Wrong) as told:
        FunctionCheck().ask(context, "eu-west-1")
    assert str(told.value) == f"s3: asked for {wanted}; the answer was: Suspended (and 1 more)"


@pytest.mark.parametrize(
    ("weather", "waits"), [(None, True), ("aws", True), ("storm", True), ("calm", False)]
)
def test_answers_may_be_stale_on_aws_and_in_the_weather_of_the_embedded_one(
    weather: str | None, waits: bool
) -> None:
    cloud: Any = SimpleNamespace(weather=weather) if weather else None
    assert (waiter_of(cloud).seconds > 0) == waits


@pytest.fixture
def interruptible() -> Iterator[None]:
    """As a command is; workers of the test run ignore Ctrl-C."""
    before = signal(SIGINT, default_int_handler)
    yield
    signal(SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_whoever_interrupts_checks_that_wait_need_not_wait_for_them() -> None:
    asked, main = list[int](), get_ident()

    class Never(Check):
        name = "never"

        def ask(self, context: CheckContext, region: str) -> str:
            del context, region
            asked.append(1)
            if len(asked) == 2:
                pthread_kill(main, SIGINT)  # Ctrl-C
            raise Wrong("as it was before")

    nobody: Any = None
    context = CheckContext(nobody, nobody, nobody, lambda: datetime.now(UTC), waiter=Waiter(60.0))
    with pytest.raises(KeyboardInterrupt):
        run_checks([Never()], context, ["eu-west-1"])
    assert len(asked) < 5


def test_a_worker_waits_longer_than_the_weather_of_the_embedded_aws_is_late() -> None:
    """It is told where AWS is, and nothing of a weather."""
    latest = max(each.stale[1] for each in WEATHERS.values())
    access = {"ACCOUNT": "123456789012", "AWS_ENDPOINT_URL": "https://127.0.0.1:4566"}
    assert (
        latest < of_session(None, access).waiter.seconds < of_session(None, {"ACCOUNT": "1"}).waiter.seconds
    )
