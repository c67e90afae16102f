"""Three costs of the Python SDK that buy nothing, switched off while our program runs.

The SDK writes 22 stack frames for each resource into the state (two thirds of its size, and the file backend
writes the whole state twice a resource), and makes a blocking call for each of its own debug lines.
Measured with 5 regions and 204 resources: 24 s became 17 s, a no-op 6 s became 4 s.

It also waits for the outputs of all resources (some 15 each) by asking all that are left again after each one that
is done, so that its waiting grows with the square of the resources: a preview of 5 regions and 377 resources took 13 s
and takes 6 s.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pulumi.log
import pulumi.runtime.resource as sdk
import pulumi.runtime.stack as waiting
from pulumi.runtime.proto import source_pb2

_guard = threading.RLock()
_PATIENCE_S = 0.5


@contextmanager
def quiet_sdk() -> Iterator[None]:
    """No stack traces, no debug lines and no busy waiting from the SDK inside this block."""
    with _guard:
        debug, trace = pulumi.log.debug, sdk._get_stack_trace
        pulumi.log.debug = lambda *_args, **_kwargs: None
        sdk._get_stack_trace = source_pb2.StackTrace
        vars(waiting)["asyncio"] = SimpleNamespace(**{**vars(asyncio), "wait": _wait})
        try:
            yield
        finally:
            pulumi.log.debug, sdk._get_stack_trace = debug, trace
            vars(waiting)["asyncio"] = asyncio


async def _wait(
    pending: Collection[asyncio.Future[Any]], **_how: str
) -> tuple[set[asyncio.Future[Any]], set[asyncio.Future[Any]]]:
    """What `asyncio.wait` answers, when all are done, one failed, or a moment has passed.

    The moment is for those that are added meanwhile: the SDK looks for them, and for their failures, only then.
    """
    return await asyncio.wait(pending, timeout=_PATIENCE_S, return_when=asyncio.FIRST_EXCEPTION)
