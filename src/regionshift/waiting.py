"""Bounded waits for AWS's eventual consistency: a read that may be stale is repeated before its answer counts.

A write may not be visible to reads for some time. A good answer costs no wait. Sources:

- IAM User Guide, "Troubleshoot IAM", "Changes that I make are not always immediately visible";
- Amazon EC2 API Reference, "Eventual consistency";
- Amazon S3 User Guide, "Amazon S3 data consistency model", for buckets and their settings;
- Step Functions API Reference, "DescribeExecution".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event
from typing import TypeVar

_FIRST, _LONGEST = 0.1, 15.0  # seconds between two reads: doubled each time, up to the longest

SETTLING_SECONDS = {"aws": 120.0, "local": 5.0}
"""How long a read may be stale, by target. On AWS two minutes, as in the ordinary provider for IAM, S3 and Secrets
Manager (terraform-provider-aws, propagation timeouts). The embedded AWS is late only in bad weather."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Waiter:
    """Repeats a read until its answer is good, for at most ``seconds``; then the last answer counts.

    Args:
        seconds: 0: the first answer counts.
        clock: returns seconds, monotonic. sleep: waits (seconds); None: waits until ``over`` is set.
        longest: the most seconds between two reads.
        began: when the time began, by ``clock``; None: each wait has its own time.
        over: when this is set, the next read is the last.
    """

    seconds: float = 0.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] | None = None
    began: float | None = None
    longest: float = _LONGEST
    over: Event = field(default_factory=Event, repr=False, compare=False)

    def started(self) -> Waiter:
        """Return a waiter with one time for all of its waits, which begins now."""
        return replace(self, began=self.clock())

    @contextmanager
    def shared(self, workers: int) -> Iterator[tuple[ThreadPoolExecutor, Waiter]]:
        """Yield a pool of threads, and a started waiter for them. An error in the block, as Ctrl-C, ends the waits."""
        waiter = replace(self.started(), over=Event())
        with ThreadPoolExecutor(workers) as pool:
            try:
                yield pool, waiter
            except BaseException:
                waiter.over.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def looks(self) -> Iterator[bool]:
        """Yield once for each read, after the pause before it: True for the last, whose answer counts."""
        began, pause = self.clock() if self.began is None else self.began, _FIRST
        sleep = self.sleep or self.over.wait
        while (left := began + self.seconds - self.clock()) > 0 and not self.over.is_set():
            yield False
            sleep(min(pause, left))
            pause = min(2 * pause, self.longest)
        yield True

    def until(self, ask: Callable[[], _T], is_good: Callable[[_T], bool]) -> _T:
        """Return the first good answer, or else the last one."""
        for is_last in self.looks():
            found = ask()
            if is_last or is_good(found):
                return found
        raise AssertionError("the last look returns")

    def past(self, ask: Callable[[], _T], passes: Callable[[Exception], bool]) -> _T:
        """Return the first answer. Retry after errors for which ``passes`` is true, until the last read."""
        for is_last in self.looks():
            try:
                return ask()
            except Exception as error:
                if is_last or not passes(error):
                    raise
        raise AssertionError("the last look returns or raises")


AT_ONCE = Waiter()
"""Does not wait: the first answer counts."""


def settling(target: str) -> Waiter:
    """Return the waiter for reads after writes to ``target``."""
    return Waiter(SETTLING_SECONDS[target])
