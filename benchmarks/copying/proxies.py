"""A proxy of the embedded AWS that counts requests, in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from ctypes import c_long
from typing import Any, Protocol
from urllib.parse import urlsplit

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Counter(Protocol):
    """A number that two processes share."""

    value: int


@contextmanager
def counting(endpoint: str, ca_bundle: str) -> Iterator[tuple[str, Counter]]:
    """Yield the same endpoint over plain HTTP, and its number of requests. A fifth slower, so do not measure time."""
    parts = urlsplit(endpoint)
    counter: Any = multiprocessing.get_context("fork").Value(c_long, 0)
    context = ssl.create_default_context(cafile=ca_bundle)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, downstream = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
        await asyncio.gather(_count(reader, downstream, counter), _pipe(upstream, writer))

    with _proxy(serve) as port:
        yield f"http://127.0.0.1:{port}", counter


@contextmanager
def _proxy(serve: Serve) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # Its connections inherit this. Otherwise the second part of an answer waits 40 ms for the first's ACK.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        process = multiprocessing.get_context("fork").Process(
            target=lambda: asyncio.run(_listen(listening, serve)), daemon=True
        )
        process.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            process.terminate()
            process.join()


async def _listen(listening: socket.socket, serve: Serve) -> None:
    server = await asyncio.start_server(serve, sock=listening, limit=1 << 20)
    async with server:
        await server.serve_forever()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
    writer.close()


async def _count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counter: Counter) -> None:
    """Forward requests one by one. All bodies have a Content-Length."""
    with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            counter.value += 1
            writer.write(head)
            fields = dict(line.split(b":", 1) for line in head.lower().split(b"\r\n")[1:] if b":" in line)
            left = int(fields.get(b"content-length", b"0"))
            while left:
                piece = await reader.read(min(left, 1 << 16))
                left -= len(piece)
                writer.write(piece)
            await writer.drain()
    writer.close()
