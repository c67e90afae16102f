"""Many pieces of one call's work at once, answered in order; none of them outlives the call."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from typing import TypeVar

_G = TypeVar("_G")
_T = TypeVar("_T")


def side_by_side(
    pool: Executor, work: Callable[[_G], _T], given: Iterable[_G], most: int | None = None
) -> Iterator[_T]:
    """What ``work`` makes of each, in their order.

    When a piece fails, or the caller asks for no more and closes this, what has not begun is left, and what has begun
    is waited for. Once a call has ended its lease is gone, and taking back would not see a copy that came after.

    Args:
        most: pieces under way or waiting at once, so that memory does not grow with ``given``; None: all of them.
    """
    ahead: deque[Future[_T]] = deque()
    try:
        for each in given:
            ahead.append(pool.submit(work, each))
            if most is not None and len(ahead) > most:
                yield ahead[0].result()
                ahead.popleft()
        while ahead:
            yield ahead[0].result()
            ahead.popleft()
    finally:
        wait([step for step in ahead if not step.cancel()])
