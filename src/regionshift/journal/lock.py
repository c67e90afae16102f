"""One writer per environment: who holds the lock, since when, and what happens when it is lost.

On ``file://`` the operating system holds the lock, so it is free the moment its process dies. On ``s3://``
it is a lease that a thread renews; when its holder dies it runs out. Either is broken only by naming the
holder it is taken from (``force``), so that a lock somebody else took meanwhile is never broken by mistake.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from regionshift import logs
from regionshift.errors import Refused, WorkFailed
from regionshift.journal.store import StateDamaged, StateUnreachable


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: person, machine, process, run and since when. ``token`` is unique to this hold."""

    owner: str
    host: str
    pid: int
    since: datetime
    token: str
    run_id: str | None = None

    def __str__(self) -> str:
        run = f", run {self.run_id}" if self.run_id else ""
        since = self.since.isoformat(timespec="seconds")
        return f"{self.owner} on {self.host} (process {self.pid}{run}) since {since}"


class LockHeld(Refused):
    """Somebody else is working on the environment."""

    def __init__(self, environment: str, holder: Holder | None) -> None:
        super().__init__(
            f"{environment} is locked by {holder or 'a process that is just starting'}",
            where=environment,
            remedy="wait until it is done; if it is certainly dead, run again with --force",
        )
        self.holder = holder


class LockLost(WorkFailed):
    """The lock was broken, or could not be renewed in time: nothing more may be written."""

    def __init__(self, environment: str, reason: str) -> None:
        super().__init__(
            f"the lock on {environment} is lost: {reason}",
            where=environment,
            remedy="see who holds it (regionshift status), then: regionshift resume",
        )


class Lock(ABC):
    """A held lock; leaving the ``with`` block releases it."""

    @property
    @abstractmethod
    def holder(self) -> Holder:
        """Ourselves, as others see us."""

    @abstractmethod
    def check(self) -> None:
        """Raise :class:`LockLost` unless the lock is still ours. Cheap: call it before every step."""

    @abstractmethod
    def working_on(self, run_id: str) -> None:
        """Say which run the lock is held for."""

    @abstractmethod
    def release(self) -> None:
        """Give the lock back. Does nothing when it is lost or was given back already."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with logs.timed("lock", action="give back"):
                self.release()
        except StateUnreachable as failure:
            if error is None:
                raise
            error.add_note(f"the lock could not be given back either: {failure.message}")


@dataclass(frozen=True)
class LeaseTerms:
    """How an S3 lease lives, in seconds. ``elapsed`` never goes back and, best, counts time spent asleep too.

    ``on_lost`` is called once, from the renewing thread, when the lease is lost.
    """

    elapsed: Callable[[], float]
    length: float = 60.0
    renew_every: float = 15.0
    on_lost: Callable[[LockLost], None] = lambda _: None


def holder_to_json(holder: Holder) -> dict[str, object]:
    """The holder as plain JSON."""
    return {**asdict(holder), "since": holder.since.isoformat()}


def holder_from_json(content: object, where: str) -> Holder:
    """The holder that :func:`holder_to_json` wrote. Raises :class:`StateDamaged`."""
    try:
        if not isinstance(content, dict):
            raise ValueError("not an object")
        run_id = content["run_id"]
        return Holder(
            owner=str(content["owner"]),
            host=str(content["host"]),
            pid=int(content["pid"]),
            since=datetime.fromisoformat(content["since"]),
            token=str(content["token"]),
            run_id=None if run_id is None else str(run_id),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(where) from error


def parse(body: bytes, where: str) -> dict[str, object]:
    """A lock's JSON object. Raises :class:`StateDamaged`."""
    try:
        content = json.loads(body)
    except ValueError as error:
        raise _unreadable(where) from error
    if not isinstance(content, dict):
        raise _unreadable(where)
    return content


def _unreadable(where: str) -> StateDamaged:
    return StateDamaged(
        "the lock cannot be read",
        where=where,
        remedy="when nobody is working on the environment, delete this object",
    )
