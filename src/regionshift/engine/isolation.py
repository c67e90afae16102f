"""Engine runs of one process kept apart: nothing that a stopped one leaves reaches the next.

When its engine is gone, the SDK does not come to the end of its own tidying: its next word to the engine fails. What
the program still waited for then stayed, with its loop, until somebody looked for garbage, in the middle of a later
run and with warnings on the terminal. And gRPC shares what it knows of an address between the channels of a process:
an engine that got the port of one that is gone could not be reached for up to two minutes (gRPC, "Connection
Backoff Protocol"), and its run failed with "Resource monitor has terminated".
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pulumi.automation._server as host
import pulumi.automation._stack as stack
from pulumi.runtime import settings
from pulumi.runtime.proto import language_pb2

from regionshift.peers import own_server

grpc = vars(stack)["grpc"]
_OWN_CONNECTIONS = ("grpc.use_local_subchannel_pool", 1)
_here = threading.local()


@contextmanager
def isolated_runs() -> Iterator[None]:
    """The program of a run that begins inside this block leaves nothing pending, and shares no connection.

    Not for two threads at once: it changes the SDK.
    """
    options = vars(settings)["_GRPC_CHANNEL_OPTIONS"]
    vars(settings)["_GRPC_CHANNEL_OPTIONS"] = [*options, _OWN_CONNECTIONS]
    vars(host)["asyncio"] = SimpleNamespace(**{**vars(asyncio), "new_event_loop": _new_loop})
    vars(stack)["LanguageServer"] = _Host
    vars(stack)["grpc"] = SimpleNamespace(**{**vars(grpc), "server": _server})
    try:
        yield
    finally:
        vars(settings)["_GRPC_CHANNEL_OPTIONS"] = options
        vars(host)["asyncio"] = asyncio
        vars(stack)["LanguageServer"] = host.LanguageServer
        vars(stack)["grpc"] = grpc


def _server(*arguments: Any, **options: Any) -> Any:
    """The SDK's own servers, for its program and its events, answer this user's engine alone.

    Whoever else asked for the program would get all that it registers, with its secrets.
    """
    return own_server(grpc, *arguments, **options)


def _new_loop() -> asyncio.AbstractEventLoop:
    loop = _here.loop = asyncio.new_event_loop()
    return loop


class _Host(host.LanguageServer):
    """What the engine asks to run our program."""

    def Run(self, request: Any, context: Any) -> Any:  # noqa: N802 - the engine's name for it
        """The SDK's, in this thread from beginning to end; what it raises is told to the engine."""
        try:
            return super().Run(request, context)  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001 - said to whoever asked, if that one is still there
            return language_pb2.RunResponse(error=str(error) or type(error).__name__)
        finally:
            _end(_here.__dict__.pop("loop", None))


def _end(loop: asyncio.AbstractEventLoop | None) -> None:
    """Cancel what is pending, and what begins meanwhile, until there is nothing."""
    if loop is None or loop.is_closed():
        return
    # The SDK's handler stops the loop when a call fails, as those to a dead engine do.
    loop.set_exception_handler(lambda _loop, _context: None)
    while pending := asyncio.all_tasks(loop):
        for task in pending:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
    loop.close()
