"""Many pieces of one call's work at once, none of which outlives the call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from typing import TypeVar

_G = TypeVar("_G")
_T = TypeVar("_T")


def side_by_side(pool: Executor, work: Callable[[_G], _T], given: Iterable[_G]) -> Iterator[_T]:
    """What ``work`` makes of each, in their order.

    The pool is the whole process's: when somebody raises, or asks for no more and closes this, what has not
    begun is left, and what has begun is waited for. Once a call has ended its lease is gone, and a copy that
    came after would be seen by nobody who takes back.
    """
    steps: list[Future[_T]] = []
    try:
        steps.extend(pool.submit(work, each) for each in given)
        for step in steps:
            yield step.result()
    finally:
        wait([step for step in steps if not step.cancel()])
