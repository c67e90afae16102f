"""The limit of the embedded AWS: copies that were signed before, of whose answers only the status is read."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

from benchmarks.copying.arena import PREFIX, SOURCE, TARGET, Arena, Case, Run
from benchmarks.copying.ours import transport

from regionshift.carriers.s3.calls import Bucket, Pinned
from regionshift.carriers.transport import S3Request

_REQUESTS_A_CONNECTION = 900  # the embedded AWS closes a connection after 1,000


def limit(arena: Arena, case: Case, connections: int, held: float = 0.0) -> Run:
    """Return a run with a CopyObject for each object, on parallel connections. ``held``: delay of each in seconds."""
    target = arena.bucket(TARGET)
    waiting = _signed(arena, case, target, connections)
    host = urlsplit(arena.endpoint)
    context = ssl.create_default_context(cafile=str(arena.cloud.ca_bundle))

    async def client() -> None:
        while waiting:
            reader, writer = await asyncio.open_connection(host.hostname, host.port, ssl=context)
            for _ in range(_REQUESTS_A_CONNECTION):
                if not waiting:
                    break
                request = waiting.pop()
                await asyncio.sleep(held)
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                assert b" 200 " in head.split(b"\r\n", 1)[0], head
                length = head.lower().split(b"content-length: ")[1].split(b"\r\n", 1)[0]
                await reader.readexactly(int(length))
            writer.close()

    async def everybody() -> None:
        await asyncio.gather(*(client() for _ in range(connections)))

    return lambda: asyncio.run(everybody())


def _signed(arena: Arena, case: Case, target: str, connections: int) -> list[bytes]:
    signing = transport(arena, connections)
    made = []
    for key, version in case.versions.items():
        pinned = Pinned(Bucket(SOURCE, case.source), key, version)
        request = S3Request("PUT", TARGET, target, PREFIX + key, headers=pinned.copy_headers)
        base, path = signing._address(request)
        signed = signing._sign(request, base + path)
        headers = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
        made.append(f"PUT {path} HTTP/1.1\r\n{headers}\r\n".encode())
    return made
