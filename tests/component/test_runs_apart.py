"""Engine runs of one process: what a stopped one leaves neither stays nor meets the next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pulumi
import pytest
from pulumi.runtime.proto import resource_pb2, resource_pb2_grpc
from pulumi.runtime.settings import Settings

from plain_engine import engine_settings
from regionshift.engine.engine import Engine
from regionshift.engine.sdk import isolated_runs
from regionshift.errors import Interrupted

pytestmark = pytest.mark.component
PATIENCE_S = 30.0


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with an empty state."""
    made = Engine(engine_settings(tmp_path, project="apart"))
    yield made
    made.close()


def test_a_program_whose_engine_was_stopped_comes_to_its_end(engine: Engine) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    def stops(number: int) -> int:
        engine.halt()
        time.sleep(0.5)  # so that the engine is gone before the program is done
        pulumi.ComponentResource("a:test:Part", "late")
        return number

    def program() -> None:
        loops.append(asyncio.get_running_loop())
        halted = pulumi.Output.from_input(1).apply(stops)
        for number in range(20):
            pulumi.ComponentResource("a:test:Part", f"part-{number}", {"after": halted})

    with pytest.raises(Interrupted):
        engine.up(program)
    until = time.monotonic() + PATIENCE_S
    while not loops[0].is_closed() and time.monotonic() < until:
        time.sleep(0.05)
    assert loops[0].is_closed()
    assert not asyncio.all_tasks(loops[0])


class _Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """As much of an engine as answers one question."""

    def SupportsFeature(self, _request: object, _context: object) -> object:  # noqa: N802 - the engine's
        return resource_pb2.SupportsFeatureResponse(hasSupport=True)


def _listening(port: int = 0) -> tuple[grpc.Server, int]:
    server = grpc.server(ThreadPoolExecutor(2))
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(_Monitor(), server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, port


def _asks(settings: Settings) -> bool:
    monitor = settings.monitor
    assert monitor is not None
    return monitor.SupportsFeature(resource_pb2.SupportsFeatureRequest(id="secrets")).hasSupport


def test_an_engine_at_the_address_of_one_that_is_gone_is_reached() -> None:
    gone, port = _listening()
    address = f"127.0.0.1:{port}"
    with isolated_runs():
        old = Settings("apart", "dev", monitor=address)
        assert _asks(old)
        gone.stop(0).wait()
        for _ in range(3):
            with pytest.raises(grpc.RpcError):
                _asks(old)
        server, _ = _listening(port)
        assert _asks(Settings("apart", "dev", monitor=address))
    server.stop(0).wait()
