"""Changes in Pulumi's Python SDK while our program runs: its costs, its connections, its folders."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi.automation._server as host
import pulumi.automation._stack as stack
import pulumi.log
import pulumi.runtime.resource as sdk
import pulumi.runtime.stack as waiting
from pulumi.runtime import settings
from pulumi.runtime.proto import language_pb2, source_pb2

from regionshift.machine import is_running
from regionshift.peers import own_server

grpc = vars(stack)["grpc"]
_OWN_CONNECTIONS = ("grpc.use_local_subchannel_pool", 1)
_here = threading.local()
_one_at_a_time = threading.RLock()
_PATIENCE_S = 0.5


@contextmanager
def quiet_sdk() -> Iterator[None]:
    """Turn off the SDK's stack traces, debug lines and busy waiting in this block.

    The SDK writes 22 stack frames for each resource into the state. That is two thirds of its size, and the file
    backend writes the whole state twice for each resource. The SDK also makes a blocking call for each debug line.
    Measured with 5 regions and 204 resources: 24 s became 17 s, a no-op 6 s became 4 s.

    It waits for the outputs of all resources (about 15 each) and checks all of them again after each one. So its wait
    grows with the square of the resources: a preview of 5 regions and 377 resources took 13 s, and now 6 s.
    """
    with _one_at_a_time:
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
    """`asyncio.wait` until all are done, one failed, or a short time has passed.

    The SDK then looks for futures that were added meanwhile, and for their failures.
    """
    return await asyncio.wait(pending, timeout=_PATIENCE_S, return_when=asyncio.FIRST_EXCEPTION)


@contextmanager
def isolated_runs() -> Iterator[None]:
    """Make runs in this block leave no pending tasks, and share no connections.

    When the engine has died, the SDK's clean-up fails with its next call to the engine. Pending tasks and their loop
    would then stay until a garbage collection in a later run, with warnings on the terminal.

    gRPC also shares connections between the channels of a process. A new engine on the port of a dead one could not be
    reached for up to two minutes (gRPC, "Connection Backoff Protocol"). Its run would fail with "Resource monitor has
    terminated".

    Not thread-safe: it changes the SDK.
    """
    options = vars(settings)["_GRPC_CHANNEL_OPTIONS"]
    vars(settings)["_GRPC_CHANNEL_OPTIONS"] = [*options, _OWN_CONNECTIONS]
    vars(host)["asyncio"] = SimpleNamespace(**{**vars(asyncio), "new_event_loop": _new_loop})
    vars(stack)["LanguageServer"] = _Host
    vars(stack)["grpc"] = SimpleNamespace(**{**vars(grpc), "server": _server})
    try:
        with warnings.catch_warnings():
            # The event stream of a killed engine ends with this warning. The failed run is reported anyway.
            warnings.filterwarnings("ignore", message="Error in event stream")
            yield
    finally:
        vars(settings)["_GRPC_CHANNEL_OPTIONS"] = options
        vars(host)["asyncio"] = asyncio
        vars(stack)["LanguageServer"] = host.LanguageServer
        vars(stack)["grpc"] = grpc


def _server(*arguments: Any, **options: Any) -> Any:
    """Create the SDK's servers so that they answer only this user's engine.

    Other users could otherwise run the program and read its resources with their secrets.
    """
    return own_server(grpc, *arguments, **options)


def _new_loop() -> asyncio.AbstractEventLoop:
    loop = _here.loop = asyncio.new_event_loop()
    return loop


class _Host(host.LanguageServer):
    """Runs our program for the engine."""

    def Run(self, request: Any, context: Any) -> Any:  # noqa: N802 - the engine's name for it
        """Run the program in this thread; return its exception as the answer."""
        try:
            return super().Run(request, context)  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001 - returned to the engine
            return language_pb2.RunResponse(error=str(error) or type(error).__name__)
        finally:
            _end(_here.__dict__.pop("loop", None))


def _end(loop: asyncio.AbstractEventLoop | None) -> None:
    """Cancel pending tasks, and those that start meanwhile, until there are none."""
    if loop is None or loop.is_closed():
        return
    # The SDK's handler would stop the loop when a call to the dead engine fails.
    loop.set_exception_handler(lambda _loop, _context: None)
    while pending := asyncio.all_tasks(loop):
        for task in pending:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
    loop.close()


class Scratch:
    """This process's temporary folder under ``root``.

    The SDK and the engine would use the system's temporary folder, where the files of a killed process stay. Here the
    next run removes them.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.folder = root / str(os.getpid())

    def make(self) -> None:
        """Create the folder."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def remove_dead(self) -> None:
        """Remove the folders of ended processes. Only while no engine runs."""
        for folder in self._root.glob("*"):
            if folder.name.isdigit() and not is_running(int(folder.name)):
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def used_by_sdk(self) -> Iterator[None]:
        """Make the SDK create its temporary folders here."""
        self.make()
        made_here = partial(tempfile.TemporaryDirectory, dir=self.folder)
        vars(stack)["tempfile"] = SimpleNamespace(**{**vars(tempfile), "TemporaryDirectory": made_here})
        try:
            yield
        finally:
            vars(stack)["tempfile"] = tempfile
