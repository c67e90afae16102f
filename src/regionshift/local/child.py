"""The main module of the emulator's process: ministack, with patches where it differs from AWS.

The emulator itself saves its state only when it ends. A killed process, or a power cut, would lose everything since
its start, and Pulumi's state would name missing resources. So this module saves the state after each change.
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

# Seconds: after the last change, and the longest time without a save.
QUIET = 1.0
AT_LATEST = 15.0
READS = frozenset({"GET", "HEAD", "OPTIONS"})


def save_when_quiet(app: ModuleType) -> None:
    """Patch ministack's ``app`` module to save its state after changes."""
    one_at_a_time = threading.Lock()
    save_all = app.save_all

    def save(states: dict[str, Callable[[], Any]]) -> None:
        # The emulator also saves when it stops, and two saves at once would write the same file.
        with one_at_a_time:
            save_all(states)

    app.save_all = save  # type: ignore[attr-defined]
    app.app = Checkpoints(app.app, lambda: save(app._build_persistence_save_dict()))  # type: ignore[attr-defined]


class Checkpoints:
    """An ASGI application that passes requests to ``inner`` and saves shortly after the last change."""

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
    """An ASGI application that passes requests to ``inner`` and logs each as a line of JSON.

    For tests that check our requests by AWS's models. The bytes of objects are left out (``body`` is null); other
    bodies are written in full (as Latin-1), secrets too.
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
            # A request whose sender was killed is incomplete, and is not logged.
            if not is_kept or len(body) >= int(headers.get("content-length", 0)):
                told = {
                    "method": scope["method"],
                    "path": path,
                    "query": query,
                    "headers": headers,
                    "body": body.decode("latin-1") if is_kept else None,
                }
                self._file.write(json.dumps(told) + "\n")


# Seconds. asyncio would wait 30 s for clients that keep their connections open, before the emulator could save.
GOODBYE_TIMEOUT = 0.5


def main() -> None:
    """Serve until SIGTERM. All inputs are environment variables (see ``process.py``)."""
    collect_garbage_less()
    import ministack.app  # type: ignore[import-untyped]

    # The emulator has read its own log level. Its functions must not inherit it: they log as on AWS. Also, the emulator
    # waits 50 ms for the first line of a function that logs nothing.
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
    # Otherwise the emulator would also open port 443.
    ministack.app._port_is_bindable = lambda _host, _port: False
    ministack.app.main()


if __name__ == "__main__":
    main()
