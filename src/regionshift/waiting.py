"""One bounded wait for all that AWS tells late: an answer that may be stale is asked for again before it is believed.

What was just written may not be visible to the next read, from any place, for some time (IAM User Guide, "Troubleshoot
IAM", "Changes that I make are not always immediately visible"; Amazon EC2 API Reference, "Eventual consistency"; Amazon
S3 User Guide, "Amazon S3 data consistency model", of buckets and their settings; Step Functions API Reference,
"DescribeExecution"). An answer that is as it should be costs no wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event
from typing import TypeVar

_FIRST, _LONGEST = 0.1, 15.0  # seconds between two looks: doubled each time, up to the longest

SETTLING_SECONDS = {"aws": 120.0, "local": 5.0}
"""How long an answer may be stale, by target. On AWS the two minutes that the ordinary provider waits for IAM, S3 and
Secrets Manager (terraform-provider-aws, propagation timeouts); the embedded AWS is late in its weather alone."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Waiter:
    """Asks again until the answer is as it should be, for ``seconds`` at most; then the last answer is believed.

    Args:
        seconds: 0 believes the first answer.
        clock: seconds, monotonic. sleep: waits (seconds), or None: as long as nobody says that it is over.
        longest: seconds between two looks at most: whoever measures how long it took is that much out.
        began: by ``clock``, when the time began to run; None: with each wait of its own.
        over: set when nobody wants to know any more; then the next look is the last.
    """

    seconds: float = 0.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] | None = None
    began: float | None = None
    longest: float = _LONGEST
    over: Event = field(default_factory=Event, repr=False, compare=False)

    def started(self) -> Waiter:
        """The same with one time for all its waits, which runs from now on."""
        return replace(self, began=self.clock())

    @contextmanager
    def shared(self, workers: int) -> Iterator[tuple[ThreadPoolExecutor, Waiter]]:
        """Threads, and what `started` gives for all of them. Whoever leaves with an error, as Ctrl-C, waits no more."""
        waiter = replace(self.started(), over=Event())
        with ThreadPoolExecutor(workers) as pool:
            try:
                yield pool, waiter
            except BaseException:
                waiter.over.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def looks(self) -> Iterator[bool]:
        """One look each, after the pause before it; true for the last, whose answer is to be believed."""
        began, pause = self.clock() if self.began is None else self.began, _FIRST
        sleep = self.sleep or self.over.wait
        while (left := began + self.seconds - self.clock()) > 0 and not self.over.is_set():
            yield False
            sleep(min(pause, left))
            pause = min(2 * pause, self.longest)
        yield True

    def until(self, ask: Callable[[], _T], is_good: Callable[[_T], bool]) -> _T:
        """The first answer that is good; the last one when none is."""
        for is_last in self.looks():
            found = ask()
            if is_last or is_good(found):
                return found
        raise AssertionError("the last look returns")

    def past(self, ask: Callable[[], _T], passes: Callable[[Exception], bool]) -> _T:
        """The first answer. What ``ask`` raises is raised when it does not pass, and at the last look."""
        for is_last in self.looks():
            try:
                return ask()
            except Exception as error:
                if is_last or not passes(error):
                    raise
        raise AssertionError("the last look returns or raises")


AT_ONCE = Waiter()
"""Believes the first answer."""


def settling(target: str) -> Waiter:
    """For reads that may be older than what was just written to ``target``."""
    return Waiter(SETTLING_SECONDS[target])
