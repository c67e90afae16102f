"""Who is running a part of a migration right now, so that taking it back waits until they have ended.

A call writes its lease first and looks for the stop flag after; whoever stops writes the flag first and
looks for leases after. S3 is strongly consistent (S3 User Guide, "Amazon S3 data consistency model"), so one
of the two always sees the other.

A part that must not be run twice at once is run ``alone``: its lease is written only where there is none, or
in the place of one whose time is over (S3 User Guide, "Conditional writes").
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from regionshift.carriers.lines import dump
from regionshift.carriers.records import Layout, RecordStore

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 10.0  # seconds between two looks at somebody else's lease


@dataclass(frozen=True)
class Leases:
    """Leases of one migration.

    Args:
        now: the time, with its zone.
        seconds: how long this call can still take at most; None when no other process can take the
            migration back meanwhile, and then no lease is written.
        sleep: waits (seconds).
    """

    store: RecordStore
    layout: Layout
    now: Callable[[], datetime]
    seconds: Callable[[], float] | None = None
    sleep: Callable[[float], None] = time.sleep

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Hold one for as long as the block runs; a call that dies holds it until its time is over.

        Several calls may run the same part: each has a lease of its own.
        """
        with self.alone(f"{name}-{uuid.uuid4().hex}", lambda: False):
            yield

    @contextmanager
    def alone(self, name: str, has_time: Callable[[], bool]) -> Iterator[bool]:
        """``held``, but by nobody else meanwhile; false when another call held it until ``has_time`` was over."""
        if self.seconds is None:
            yield True
            return
        until = self.now() + timedelta(seconds=self.seconds())
        body = dump({"until": until.isoformat(), "call": uuid.uuid4().hex}).encode()
        lease, pause = self.layout.running(name), _FIRST_PAUSE
        while not self._take(lease, body):
            if not has_time():
                yield False
                return
            self.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        try:
            yield True
        finally:
            # Once its time is over it may be another call's.
            if self.now() < until:
                self.store.delete(lease)

    def running(self) -> list[str]:
        """Names of the leases that are held now."""
        found = []
        prefix = self.layout.running("")
        for name in self.store.names(prefix):
            body = self.store.get(name)
            if body is not None and self._is_live(body):
                found.append(name.removeprefix(prefix))
        return found

    def _take(self, lease: str, body: bytes) -> bool:
        while True:
            if self.store.create(lease, body):
                return True
            found = self.store.look(lease)
            if found is None:
                continue  # it ended meanwhile
            if found[0] == body:
                return True  # ours: the answer was lost, and the request repeated
            if self._is_live(found[0]):
                return False
            if self.store.replace(lease, body, found[1]):
                return True

    def _is_live(self, lease: bytes) -> bool:
        return datetime.fromisoformat(json.loads(lease)["until"]) > self.now()
