"""What runs inside the emulator's process: ministack with the gaps closed that the environment meets.

It saves what it holds whenever it falls quiet. The emulator writes its services' state at its end only: a killed
process, or a power cut, would take everything since its start with it, while the state of Pulumi says that it is there.
"""

from __future__ import annotations

import asyncio
import asyncio.constants
import json
import os
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from types import ModuleType
from typing import Any

from regionshift.local.state import QUESTIONS, REQUESTS
from regionshift.machine import collect_garbage_less

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]

# Seconds. After the last request that may have changed something; and under requests that never pause.
QUIET = 1.0
AT_LATEST = 15.0
READS = frozenset({"GET", "HEAD", "OPTIONS"})


def save_when_quiet(app: ModuleType) -> None:
    """Puts the checkpoints into ministack's ``app`` module, before it serves."""
    one_at_a_time = threading.Lock()
    save_all = app.save_all

    def save(states: dict[str, Callable[[], Any]]) -> None:
        # The emulator saves once more when it stops, and two at once would write the same draft.
        with one_at_a_time:
            save_all(states)

    app.save_all = save  # type: ignore[attr-defined]
    app.app = Checkpoints(app.app, lambda: save(app._build_persistence_save_dict()))  # type: ignore[attr-defined]


class Checkpoints:
    """An ASGI application that passes everything to ``inner`` and saves a moment after the last change."""

    def __init__(self, inner: Application, save: Callable[[], None]) -> None:
        self._inner = inner
        self._save = save
        self._changed_at = 0.0
        self._waiting: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        try:
            await self._inner(scope, receive, send)
        finally:
            if scope["type"] == "http" and scope["method"] not in READS:
                self._changed_at = time.monotonic()
                if self._waiting is None or self._waiting.done():
                    self._waiting = asyncio.create_task(self._when_quiet())

    async def _when_quiet(self) -> None:
        saved_at = 0.0
        while saved_at < self._changed_at:
            latest = time.monotonic() + AT_LATEST
            while (pause := min(self._changed_at + QUIET, latest) - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            saved_at = time.monotonic()
            await asyncio.to_thread(self._save)


class Requests:
    """An ASGI application that passes everything to ``inner`` and writes each request down, a JSON object a line.

    For tests that hold what we send against AWS's models. The bytes of objects are left out (``body`` is null then),
    other bodies are written as they are (as Latin-1), secrets too.
    """

    def __init__(self, inner: Application, to: Path) -> None:
        self._inner = inner
        self._file = to.open("a", buffering=1, encoding="utf-8")

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        is_object = scope["method"] == "PUT" and path.count("/") > 1 and ("partNumber=" in query or not query)
        signed = dict(scope["headers"]).get(b"authorization", b"")
        is_kept = not (is_object and b"/s3/aws4_request" in signed)
        chunks: list[bytes] = []

        async def receive_and_keep() -> Any:
            message = await receive()
            if is_kept:
                chunks.append(message.get("body", b""))
            return message

        try:
            await self._inner(scope, receive_and_keep, send)
        finally:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            body = b"".join(chunks)
            # One whose sender was killed on the way is no request.
            if not is_kept or len(body) >= int(headers.get("content-length", 0)):
                told = {
                    "method": scope["method"],
                    "path": path,
                    "query": query,
                    "headers": headers,
                    "body": body.decode("latin-1") if is_kept else None,
                }
                self._file.write(json.dumps(told) + "\n")


# Seconds. A client that keeps its connection open does not say goodbye, and asyncio would wait 30 s for it
# before the emulator gets to save what it holds.
GOODBYE_TIMEOUT = 0.5


def main() -> None:
    """Serves until SIGTERM. Everything it needs to know is in its environment (see ``process.py``)."""
    collect_garbage_less()
    import ministack.app  # type: ignore[import-untyped]

    # The emulator has read how much it is to say itself; its functions inherit what is left, and say what they
    # would on AWS. Of one that says nothing the emulator waits 50 ms for a first line, too.
    os.environ.pop("LOG_LEVEL", None)

    from regionshift.local import (
        compute_gaps,
        data_gaps,
        iam_gaps,
        kms_gaps,
        monitoring_gaps,
        page_gaps,
        questions,
        replication_gaps,
        resource_gaps,
        rights_gaps,
        s3_gaps,
        size_gaps,
        speed,
        tag_gaps,
        weather,
    )

    told = weather.of_variables(os.environ)

    folder = Path(os.environ["HOME"])
    if (folder / QUESTIONS).exists():
        questions.write_down(folder / QUESTIONS)
    compute_gaps.close()
    data_gaps.close()
    monitoring_gaps.close()
    page_gaps.close()
    iam_gaps.close()
    kms_gaps.close()
    s3_gaps.close()
    replication_gaps.close()
    size_gaps.close()
    rights_gaps.close()
    resource_gaps.close()
    tag_gaps.close()
    speed.install()
    weather.install(*told, ministack.app)
    save_when_quiet(ministack.app)
    if (folder / REQUESTS).exists():
        ministack.app.app = Requests(ministack.app.app, folder / REQUESTS)
    asyncio.constants.SSL_SHUTDOWN_TIMEOUT = GOODBYE_TIMEOUT
    # It would also open port 443 where it may; this cloud has one port.
    ministack.app._port_is_bindable = lambda _host, _port: False
    ministack.app.main()


if __name__ == "__main__":
    main()
