"""Who is running a part of a migration right now, so that taking it back waits until they have ended.

A call writes its lease first and looks for the stop flag after; whoever stops writes the flag first and
looks for leases after. S3 is strongly consistent (S3 User Guide, "Amazon S3 data consistency model"), so one
of the two always sees the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from regionshift.carriers.records import Layout, RecordStore


@dataclass(frozen=True)
class Leases:
    """Leases of one migration.

    Args:
        now: the time, with its zone.
        seconds: how long this call can still take at most; None when no other process can take the
            migration back meanwhile, and then no lease is written.
    """

    store: RecordStore
    layout: Layout
    now: Callable[[], datetime]
    seconds: Callable[[], float] | None = None

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Hold one for as long as the block runs; a call that dies holds it until its time is over."""
        if self.seconds is None:
            yield
            return
        lease = self.layout.running(name)
        until = self.now() + timedelta(seconds=self.seconds())
        self.store.put_json(lease, {"until": until.isoformat()})
        try:
            yield
        finally:
            self.store.delete(lease)

    def running(self) -> list[str]:
        """Names of the leases that are held now."""
        found = []
        prefix = self.layout.running("")
        for name in self.store.names(prefix):
            lease = self.store.get_json(name)
            if lease is not None and datetime.fromisoformat(lease["until"]) > self.now():
                found.append(name.removeprefix(prefix))
        return found
