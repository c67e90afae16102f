"""How many requests run at once: fewer when AWS says slow down, slowly more again when it does not."""

from __future__ import annotations

import threading
from types import TracebackType

_GROW_AFTER = 50  # requests without a complaint before one more may run


class Pace:
    """A gate for at most ``most`` requests; halved by ``slow_down``, never under one. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = most
        self._running = 0
        self._calm = 0
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        """How many may run now."""
        return self._limit

    def slow_down(self) -> None:
        """AWS complained: half as many from now on."""
        with self._changed:
            self._limit = max(1, self._limit // 2)
            self._calm = 0

    def __enter__(self) -> None:
        with self._changed:
            while self._running >= self._limit:
                self._changed.wait()
            self._running += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._running -= 1
            self._calm += 1
            if self._calm >= _GROW_AFTER and self._limit < self._most:
                self._limit += 1
                self._calm = 0
            self._changed.notify()
