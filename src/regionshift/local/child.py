"""What runs inside the emulator's process: ministack with the gaps closed that the environment meets.

It saves what it holds whenever it falls quiet. The emulator writes its services' state at its end only: a killed
process, or a power cut, would take everything since its start with it, while the state of Pulumi says that it is there.
"""

from __future__ import annotations

import asyncio
import asyncio.constants
import os
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from types import ModuleType
from typing import Any

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

    from regionshift.local import compute_gaps, data_gaps, monitoring_gaps, s3_gaps, speed, weather

    told = weather.of_variables(os.environ)

    compute_gaps.close()
    data_gaps.close()
    monitoring_gaps.close()
    s3_gaps.close()
    speed.install()
    weather.install(*told, ministack.app)
    save_when_quiet(ministack.app)
    asyncio.constants.SSL_SHUTDOWN_TIMEOUT = GOODBYE_TIMEOUT
    # It would also open port 443 where it may; this cloud has one port.
    ministack.app._port_is_bindable = lambda _host, _port: False
    ministack.app.main()


if __name__ == "__main__":
    main()
