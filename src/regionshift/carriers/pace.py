"""How many requests run at once: fewer when AWS says slow down, slowly more again when it does not."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType

_GROW_AFTER = 50  # requests without a complaint before one more may run


class Pace:
    """A gate for at most ``most`` requests; halved by ``slow_down``, never under one. Thread-safe.

    First come, first served: a batch's records and listings pass between the copies of others. Otherwise the
    threads that copy, which come back at once, would let nobody in before all is copied.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = most
        self._running = 0
        self._calm = 0
        self._lock = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()

    @property
    def limit(self) -> int:
        """How many may run now."""
        return self._limit

    @property
    def queue(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def slow_down(self) -> None:
        """AWS complained: half as many from now on."""
        with self._lock:
            self._limit = max(1, self._limit // 2)
            self._calm = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._running < self._limit and not self._waiting:
                self._running += 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        try:
            turn.acquire()
        except BaseException:
            self._leave_queue(turn)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._running -= 1
            self._calm += 1
            if self._calm >= _GROW_AFTER and self._limit < self._most:
                self._limit += 1
                self._calm = 0
            self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._running < self._limit:
            self._running += 1
            self._waiting.popleft().release()

    def _leave_queue(self, turn: threading.Lock) -> None:
        """Interrupted while waiting: the place, or the turn that was given meanwhile, is the next one's."""
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
            else:
                self._running -= 1
                self._let_in()
