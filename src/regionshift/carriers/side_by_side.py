"""Run the parts of one call's work concurrently, with results in order. No part outlives the call."""

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
    """Yield ``work(each)`` for each of ``given``, in their order.

    When a part fails, or the caller closes this generator, parts that have not begun are cancelled, and running ones
    are waited for. The lease of a call ends with the call, so undo would not see a copy that finished later.

    Args:
        most: the most parts at once, running or waiting, so that memory does not grow with ``given``; None: all.
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
