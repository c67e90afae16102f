"""What is changed in Pulumi's Python SDK while one of our programs runs: its costs, its connections, its folders."""

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

from regionshift.machine import lives
from regionshift.peers import own_server

grpc = vars(stack)["grpc"]
_OWN_CONNECTIONS = ("grpc.use_local_subchannel_pool", 1)
_here = threading.local()
_one_at_a_time = threading.RLock()
_PATIENCE_S = 0.5


@contextmanager
def quiet_sdk() -> Iterator[None]:
    """No stack traces, no debug lines and no busy waiting from the SDK inside this block.

    The SDK writes 22 stack frames for each resource into the state (two thirds of its size, and the file backend
    writes the whole state twice a resource), and makes a blocking call for each of its own debug lines. Measured with
    5 regions and 204 resources: 24 s became 17 s, a no-op 6 s became 4 s.

    It also waits for the outputs of all resources (some 15 each) by asking all that are left again after each one that
    is done, so that its waiting grows with the square of the resources: a preview of 5 regions and 377 resources took
    13 s and takes 6 s.
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
    """What `asyncio.wait` answers, when all are done, one failed, or a moment has passed.

    The moment is for those that are added meanwhile: the SDK looks for them, and for their failures, only then.
    """
    return await asyncio.wait(pending, timeout=_PATIENCE_S, return_when=asyncio.FIRST_EXCEPTION)


@contextmanager
def isolated_runs() -> Iterator[None]:
    """The program of a run that begins inside this block leaves nothing pending, and shares no connection.

    When its engine has died, the SDK does not finish its own clean-up, as its next call to the engine fails. Pending
    tasks and their loop then stayed until the next garbage collection, in the middle of a later run and with warnings
    on the terminal. And gRPC shares connections between the channels of a process: a new engine that got a dead one's
    port could not be reached for up to two minutes (gRPC, "Connection Backoff Protocol"), and its run failed with
    "Resource monitor has terminated".

    Not for two threads at once: it changes the SDK.
    """
    options = vars(settings)["_GRPC_CHANNEL_OPTIONS"]
    vars(settings)["_GRPC_CHANNEL_OPTIONS"] = [*options, _OWN_CONNECTIONS]
    vars(host)["asyncio"] = SimpleNamespace(**{**vars(asyncio), "new_event_loop": _new_loop})
    vars(stack)["LanguageServer"] = _Host
    vars(stack)["grpc"] = SimpleNamespace(**{**vars(grpc), "server": _server})
    try:
        with warnings.catch_warnings():
            # So ends the stream of an engine that was killed. Its run fails, and that is what is told.
            warnings.filterwarnings("ignore", message="Error in event stream")
            yield
    finally:
        vars(settings)["_GRPC_CHANNEL_OPTIONS"] = options
        vars(host)["asyncio"] = asyncio
        vars(stack)["LanguageServer"] = host.LanguageServer
        vars(stack)["grpc"] = grpc


def _server(*arguments: Any, **options: Any) -> Any:
    """The SDK's own servers, for its program and its events, answer this user's engine alone.

    Anybody else who asked for the program would get all that it registers, with its secrets.
    """
    return own_server(grpc, *arguments, **options)


def _new_loop() -> asyncio.AbstractEventLoop:
    loop = _here.loop = asyncio.new_event_loop()
    return loop


class _Host(host.LanguageServer):
    """What the engine asks to run our program."""

    def Run(self, request: Any, context: Any) -> Any:  # noqa: N802 - the engine's name for it
        """Run the program in this thread; what it raises is the engine's answer."""
        try:
            return super().Run(request, context)  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001 - it is the engine's answer
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


class Scratch:
    """This process's folder under ``root`` for what is needed only during a run, made when it is needed.

    The SDK makes a folder for each run's events, and the engine unpacks what it works on, both in the system's
    temporary folder, where nothing ever takes away what a killed process leaves. Here the next run does.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.folder = root / str(os.getpid())

    def make(self) -> None:
        """Have the folder there."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def remove(self) -> None:
        """Take the folder away."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def remove_dead(self) -> None:
        """Take away what processes left that are no more. Only while no engine is at work."""
        for folder in self._root.glob("*"):
            if folder.name.isdigit() and not lives(int(folder.name)):
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def used_by_sdk(self) -> Iterator[None]:
        """The SDK's own folders are made here, and not in the system's temporary folder."""
        self.make()
        made_here = partial(tempfile.TemporaryDirectory, dir=self.folder)
        vars(stack)["tempfile"] = SimpleNamespace(**{**vars(tempfile), "TemporaryDirectory": made_here})
        try:
            yield
        finally:
            vars(stack)["tempfile"] = tempfile
