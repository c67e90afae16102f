"""Saves what the emulator holds whenever it falls quiet, not only when it is stopped.

The emulator writes its services' state at its end. A killed process, or a power cut, would therefore take
everything since its start with it, while Pulumi's state still says that it is there.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from types import ModuleType
from typing import Any

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]

# Seconds. After the last request that may have changed something; and under requests that never pause.
QUIET = 1.0
AT_LATEST = 15.0
READS = frozenset({"GET", "HEAD", "OPTIONS"})


def install(app: ModuleType) -> None:
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
