"""What the SDK waits for while it is quiet: all that it waits for otherwise, without asking again each time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from pulumi.automation._stack import _EventsServicer
from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import wait_for_rpcs

from regionshift.engine.sdk import _PATIENCE_S, isolated_runs, quiet_sdk

_OUTPUTS = 300


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many were waited for, each time that they were."""
    seen: list[int] = []
    real = asyncio.wait

    async def counted(pending: Any, **how: Any) -> Any:
        seen.append(len(pending))
        return await real(pending, **how)

    monkeypatch.setattr(asyncio, "wait", counted)
    with quiet_sdk():
        yield seen
    SETTINGS.outputs.clear()


def _run(program: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(program, 60))


def _output(work: Coroutine[Any, Any, None]) -> None:
    SETTINGS.outputs.add(asyncio.ensure_future(work))


async def _late(steps: int, then: Exception | None = None) -> None:
    for _ in range(steps):
        await asyncio.sleep(0)
    if then:
        raise then


def test_each_output_is_waited_for_and_few_times(waited: list[int]) -> None:
    ended: list[int] = []

    async def one(number: int) -> None:
        await _late(number)
        ended.append(number)
        if number == _OUTPUTS - 1:
            _output(one(_OUTPUTS))

    async def program() -> None:
        for number in range(_OUTPUTS):
            _output(one(number))
        await wait_for_rpcs()

    began = time.monotonic()
    _run(program())
    assert sorted(ended) == list(range(_OUTPUTS + 1))
    # Once for all that are there, once for the one that came later, and once more each time that it looked for such.
    assert len(waited) <= 3 + (time.monotonic() - began) / _PATIENCE_S


@pytest.mark.usefixtures("waited")
def test_a_failed_output_ends_the_waiting_though_others_never_end() -> None:
    async def program() -> None:
        _output(asyncio.sleep(3600))
        _output(_late(3, ValueError("this one")))
        await wait_for_rpcs()

    with pytest.raises(ValueError, match="this one"):
        _run(program())


@pytest.mark.usefixtures("waited")
def test_a_failed_output_that_came_later_does_so_too() -> None:
    async def adds_one() -> None:
        _output(_late(3, ValueError("that came later")))
        await asyncio.sleep(3600)

    async def program() -> None:
        _output(adds_one())
        await wait_for_rpcs()

    with pytest.raises(ValueError, match="that came later"):
        _run(program())


def test_outside_the_sdk_waits_as_ever() -> None:
    import pulumi.runtime.stack as waiting

    with quiet_sdk():
        assert vars(waiting)["asyncio"] is not asyncio
    assert vars(waiting)["asyncio"] is asyncio


def test_a_stream_of_events_that_broke_with_its_engine_is_no_warning(
    recwarn: pytest.WarningsRecorder,
) -> None:
    def broken() -> Iterator[Any]:
        yield from ()
        raise RuntimeError("the engine was killed")

    def serve() -> None:
        _EventsServicer(lambda _: None).StreamEvents(broken(), None)  # type: ignore[no-untyped-call]

    serve()
    assert len(recwarn) == 1, "the SDK warns of it"
    recwarn.clear()
    with isolated_runs():
        serve()
    assert not recwarn.list
