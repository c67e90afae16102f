"""The copying core against threaded boto3 and against the embedded AWS's own limit, in one run.

    python benchmarks/copying.py [--objects 2000] [--size 1024] [--rounds 3] [--latency 0.03]

The limit is what the emulator does when nothing is in its way: requests signed beforehand, sent over 16
connections by a client that reads nothing but the status. Trust ratios, not seconds: machines differ.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import socket
import ssl
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.credentials import ReadOnlyCredentials

from regionshift.aws.clients import AccessKey, Clients
from regionshift.carriers.carrier import Entry, Level, Place
from regionshift.carriers.migration import Migrations
from regionshift.carriers.records import RecordStore
from regionshift.carriers.s3.calls import Bucket, Pinned
from regionshift.carriers.s3.objects import Objects
from regionshift.carriers.transport import Request, Response, Transport
from regionshift.local import emulator
from regionshift.local.emulator import LocalCloud

SOURCE, TARGET = "us-east-1", "eu-west-1"
CONNECTIONS = 16


class Counting(Transport):
    """Counts what it sends."""

    sent = 0

    def _once(self, request: Request) -> Response:
        self.sent += 1
        return super()._once(request)


@dataclass
class Figures:
    """One contender's rounds: seconds, client CPU seconds, requests."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)


@dataclass
class Arena:
    """A seeded source bucket, and target buckets made as they are needed."""

    cloud: LocalCloud
    endpoint: str
    objects: int
    size: int

    def __post_init__(self) -> None:
        key = AccessKey(self.cloud.access_key, self.cloud.secret_key)
        self.clients = Clients(key=key, endpoint=self.endpoint, ca_bundle=self.cloud.ca_bundle)
        self.source = self.bucket(SOURCE)
        s3 = self.clients.get("s3", SOURCE)
        content = os.urandom(self.size)
        with ThreadPoolExecutor(8) as pool:
            made = pool.map(
                lambda name: (name, s3.put_object(Bucket=self.source, Key=name, Body=content)["VersionId"]),
                [f"data/{number:06d}" for number in range(self.objects)],
            )
        self.versions = dict(made)

    def bucket(self, region: str) -> str:
        """A new versioned bucket."""
        s3 = self.clients.get("s3", region)
        name = f"bench-{uuid.uuid4().hex[:12]}"
        place: Any = (
            {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        )
        s3.create_bucket(Bucket=name, **place)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def transport(self) -> Counting:
        """A transport of the administrator."""
        credentials = ReadOnlyCredentials(self.cloud.access_key, self.cloud.secret_key, None)
        return Counting(
            lambda: credentials,
            lambda _: self.endpoint,
            ca_bundle=str(self.cloud.ca_bundle),
            connections=CONNECTIONS,
        )


def limit(arena: Arena) -> Callable[[], int]:
    """Nothing but the copies, signed beforehand."""
    target, transport = arena.bucket(TARGET), arena.transport()
    host = urlsplit(arena.endpoint)
    waiting = []
    for key, version in arena.versions.items():
        pinned = Pinned(Bucket(SOURCE, arena.source), key, version)
        request = Request("PUT", TARGET, target, key, headers=pinned.copy_headers)
        base, path = transport._address(request)
        headers = "".join(
            f"{name}: {value}\r\n" for name, value in transport._sign(request, base + path).items()
        )
        waiting.append(f"PUT {path} HTTP/1.1\r\n{headers}\r\n".encode())
    context = ssl.create_default_context(cafile=str(arena.cloud.ca_bundle))

    async def client() -> None:
        while waiting:
            reader, writer = await asyncio.open_connection(host.hostname, host.port, ssl=context)
            for _ in range(900):
                if not waiting:
                    break
                writer.write(waiting.pop())
                head = await reader.readuntil(b"\r\n\r\n")
                assert b" 200 " in head.split(b"\r\n", 1)[0], head
                length = head.lower().split(b"content-length: ")[1].split(b"\r\n", 1)[0]
                await reader.readexactly(int(length))
            writer.close()

    async def everybody() -> None:
        await asyncio.gather(*(client() for _ in range(CONNECTIONS)))

    def run() -> int:
        number = len(waiting)
        asyncio.run(everybody())
        return number

    return run


def core(level: Level) -> Callable[[Arena], Callable[[], int]]:
    """Plan, record, copy, prove, record: all of a migration but Step Functions."""

    def prepared(arena: Arena) -> Callable[[], int]:
        target, transport = arena.bucket(TARGET), arena.transport()
        store = RecordStore(transport, TARGET, arena.bucket(TARGET))
        migrations = Migrations(store, {"s3": Objects(transport)}, lambda: datetime.now(UTC))
        entry = Entry("s3", Place(SOURCE, arena.source), Place(TARGET, target))

        def run() -> int:
            done = migrations.migrate("bench", [entry], level)
            assert done["counts"]["proven"] == arena.objects, done
            return transport.sent

        return run

    return prepared


def rollback(arena: Arena) -> Callable[[], int]:
    """Take a migration back."""
    target, transport = arena.bucket(TARGET), arena.transport()
    store = RecordStore(transport, TARGET, arena.bucket(TARGET))
    migrations = Migrations(store, {"s3": Objects(transport)}, lambda: datetime.now(UTC))
    migrations.migrate(
        "bench", [Entry("s3", Place(SOURCE, arena.source), Place(TARGET, target))], Level.PINNED
    )
    transport.sent = 0

    def run() -> int:
        record = migrations.rollback("bench")
        assert record["counts"]["undone"] == arena.objects, record
        return transport.sent

    return run


def boto3_threads(arena: Arena) -> Callable[[], int]:
    """What people write themselves: list, copy_object in threads; neither pinned, proven nor undoable."""
    target, s3 = arena.bucket(TARGET), arena.clients.get("s3", TARGET)

    def run() -> int:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=arena.source)
        keys = [entry["Key"] for page in pages for entry in page["Contents"]]
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(
                pool.map(
                    lambda key: s3.copy_object(
                        Bucket=target, Key=key, CopySource={"Bucket": arena.source, "Key": key}
                    ),
                    keys,
                )
            )
        return len(keys) + -(-len(keys) // 1000)

    return run


CONTENDERS: dict[str, Callable[[Arena], Callable[[], int]]] = {
    "limit": limit,
    "core, pinned": core(Level.PINNED),
    "core, full": core(Level.FULL),
    "rollback": rollback,
    "boto3 threads": boto3_threads,
}


def measure(arena: Arena, rounds: int) -> dict[str, Figures]:
    """Every contender once a round, so that a busy minute hits them all."""
    figures = {name: Figures() for name in CONTENDERS}
    for _ in range(rounds):
        for name, prepare in CONTENDERS.items():
            run = prepare(arena)
            began, cpu = time.perf_counter(), time.process_time()
            requests = run()
            figures[name].seconds.append(time.perf_counter() - began)
            figures[name].cpu.append(time.process_time() - cpu)
            figures[name].requests.append(requests)
    return figures


def show(figures: dict[str, Figures], objects: int) -> None:
    """A table of medians, and of ratios to the limit and to boto3's CPU."""
    slowest = statistics.median(figures["limit"].seconds)
    boto = statistics.median(figures["boto3 threads"].cpu)
    print(f"{'':16}{'s':>8}{'÷ limit':>9}{'CPU ms/object':>15}{'÷ boto3':>9}{'requests/object':>17}")
    for name, one in figures.items():
        seconds, cpu = statistics.median(one.seconds), statistics.median(one.cpu)
        requests = statistics.median(one.requests) / objects
        print(
            f"{name:16}{seconds:8.2f}{seconds / slowest:9.2f}{cpu / objects * 1000:15.2f}"
            f"{cpu / boto:9.2f}{requests:17.3f}"
        )


@contextmanager
def delayed(endpoint: str, seconds: float) -> Iterator[str]:
    """The same endpoint behind a proxy, in its own process, that holds every piece of a request back."""
    if not seconds:
        yield endpoint
        return
    with socket.create_server(("127.0.0.1", 0)) as listening:
        parts = urlsplit(endpoint)
        proxy = multiprocessing.get_context("fork").Process(
            target=lambda: asyncio.run(_proxy(listening, parts.hostname or "", parts.port or 443, seconds))
        )
        proxy.start()
        try:
            yield f"https://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            proxy.terminate()
            proxy.join()


async def _proxy(listening: socket.socket, host: str, port: int, seconds: float) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, downstream = await asyncio.open_connection(host, port)
        await asyncio.gather(_pipe(reader, downstream, seconds), _pipe(upstream, writer, 0))

    server = await asyncio.start_server(serve, sock=listening)
    async with server:
        await server.serve_forever()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(1 << 16):
            if seconds:
                await asyncio.sleep(seconds)
            writer.write(piece)
            await writer.drain()
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--objects", type=int, default=2000)
    parser.add_argument("--size", type=int, default=1024, help="bytes an object")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds added to each request")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    given = parser.parse_args()
    globals()["CONNECTIONS"] = given.connections
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        try:
            cloud = emulator.up(state, "123456789012")
            with delayed(cloud.endpoint, given.latency) as endpoint:
                arena = Arena(cloud, endpoint, given.objects, given.size)
                show(measure(arena, given.rounds), given.objects)
        finally:
            emulator.down(state, wipe=True)


if __name__ == "__main__":
    main()
