"""The lock of an environment, which has one writer at a time.

A directory is locked by the operating system, so it is free the moment its process dies (`FileStore`). Elsewhere the
lock is a lease: an object that a thread of its holder replaces again and again by compare-and-swap. When the holder
dies, the lease expires. To break a lock, the caller names its holder (``force``). So a lock that somebody else took
meanwhile is never broken by mistake.

Only the store's clock decides whether a lease has expired: the time of the lease is compared with that of a probe. So
machines whose clocks differ agree. The holder stops trusting its lease one lease length after it *sent* the last
successful renewal. That is before anybody else may take it. To release a lease, its holder writes that it is free. It
does not delete the object: a delete is not conditional, and could hit the next holder's lease.
"""

from __future__ import annotations

import json
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from types import TracebackType
from typing import Annotated, Protocol, Self, runtime_checkable

from pydantic import PlainSerializer, TypeAdapter, ValidationError

from regionshift import logs
from regionshift.errors import Refused, WorkFailed
from regionshift.journal.store import (
    KeyTakenError,
    StateDamaged,
    StateStore,
    StateUnreachable,
    Stored,
    SwapLostError,
    SwapStore,
)

_ATTEMPTS = 5
_MARGIN = 2.0  # seconds: S3 dates its objects to the second
_BETWEEN_TRIES = (1.0, 3.0)  # seconds


@dataclass(frozen=True)
class Holder:
    """The holder of a lock: person, machine, process, run and since when. ``token`` is unique to this hold."""

    owner: str
    host: str
    pid: int
    since: Annotated[datetime, PlainSerializer(datetime.isoformat)]
    token: str
    run_id: str | None = None

    def __str__(self) -> str:
        run = f", run {self.run_id}" if self.run_id else ""
        since = self.since.isoformat(timespec="seconds")
        return f"{self.owner} on {self.host} (process {self.pid}{run}) since {since}"


class LockHeld(Refused):
    """Somebody else works on the environment."""

    error_id = "RS-LOCK-001"

    def __init__(self, environment: str, holder: Holder | None) -> None:
        early = "" if holder and holder.run_id else " (it has begun no run yet: it may wait for an answer)"
        super().__init__(
            f"{environment} is locked by {holder or 'a process that is just starting'}",
            where=environment,
            remedy=f"wait until it is done{early}; if it is certainly dead, run again with --force",
        )
        self.holder = holder


class LockLost(WorkFailed):
    """The lock was broken, or could not be renewed in time. Nothing more may be written."""

    error_id = "RS-LOCK-002"

    def __init__(self, environment: str, reason: str) -> None:
        super().__init__(
            f"the lock on {environment} is lost: {reason}",
            where=environment,
            remedy="see who holds it (regionshift status), then: regionshift resume",
        )


class Lock(ABC):
    """A held lock. Leaving the ``with`` block releases it."""

    @property
    @abstractmethod
    def holder(self) -> Holder:
        """This process, as others see it."""

    @abstractmethod
    def check(self) -> None:
        """Raise :class:`LockLost` unless the lock is still ours. Cheap: call it before every step."""

    @abstractmethod
    def working_on(self, run_id: str) -> None:
        """Write into the lock which run it is held for."""

    @abstractmethod
    def release(self) -> None:
        """Release the lock. Does nothing when it is lost or released."""

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
    """The times of a lease on S3, in seconds. ``elapsed`` is monotonic and, best, also counts time spent asleep.

    The renewing thread calls ``on_lost`` once, when the lease is lost. ``patience``: how long to wait for a lock that
    somebody else holds. While waiting, ``wait`` gets the holder and the seconds until the next try.
    """

    elapsed: Callable[[], float]
    length: float = 60.0
    renew_every: float = 15.0
    on_lost: Callable[[LockLost], None] = lambda _: None
    patience: float = 0.0
    wait: Callable[[Holder | None, float], None] = lambda _, seconds: time.sleep(seconds)


@runtime_checkable
class LockingStore(StateStore, Protocol):
    """A store without compare-and-swap, which locks an environment in its own way."""

    def take_lock(self, environment: str, holder: Holder, force: str | None) -> Lock:
        """See :func:`acquire`."""
        ...

    def lock_holder(self, environment: str) -> Holder | None:
        """See :func:`current_holder`."""
        ...


def acquire(
    store: StateStore, environment: str, holder: Holder, terms: LeaseTerms, force: str | None = None
) -> Lock:
    """Take the environment's lock. Wait for it as long as the patience of ``terms``.

    Args:
        force: the ``token`` of the holder whose lock may be broken.

    Raises:
        LockHeld: somebody holds it, and not the holder that ``force`` names.
        StateUnreachable: the state cannot be used.
    """
    until = terms.elapsed() + terms.patience
    while True:
        try:
            with logs.timed("lock", action="break and take" if force else "take", environment=environment):
                if isinstance(store, SwapStore):
                    return _acquire_lease(store, environment, holder, terms, force)
                return _locking(store).take_lock(environment, holder, force)
        except LockHeld as held:
            left = until - terms.elapsed()
            if left <= 0:
                raise
            # random, so that those who wait do not all try at the same moment
            terms.wait(held.holder, min(left, random.uniform(*_BETWEEN_TRIES)))


def current_holder(store: StateStore, environment: str) -> Holder | None:
    """The holder of the lock; None when it is free. An expired lease still names its holder."""
    if isinstance(store, SwapStore):
        stored = store.get(_key(environment))
        return _decode(stored, store.url).holder if stored else None
    return _locking(store).lock_holder(environment)


def living_holder(store: StateStore, environment: str, now: datetime) -> Holder | None:
    """As :func:`current_holder`, but None for an expired lease. ``now`` is compared with the store's clock."""
    if isinstance(store, SwapStore):
        stored = store.get(_key(environment))
        lease = _decode(stored, store.url) if stored else None
        is_over = stored and lease and (now - stored.modified).total_seconds() > lease.length + _MARGIN
        return lease.holder if lease and not is_over else None
    return _locking(store).lock_holder(environment)


def _locking(store: StateStore) -> LockingStore:
    if not isinstance(store, LockingStore):
        raise TypeError(f"no lock is known for {type(store).__name__}")
    return store


@dataclass(frozen=True)
class _Lease:
    """The content of the object. ``renewal`` makes every write different, and so the tag of the next swap."""

    holder: Holder | None
    length: float
    renewal: int

    def encode(self) -> bytes:
        holder = holder_to_json(self.holder) if self.holder else None
        return json.dumps({"holder": holder, "length": self.length, "renewal": self.renewal}).encode()


class _HeldLease(Lock):
    def __init__(self, store: SwapStore, environment: str, lease: _Lease, terms: LeaseTerms) -> None:
        self._store = store
        self._environment = environment
        self._lease = lease
        self._terms = terms
        self._tag = ""
        self._sent = 0.0
        self._lost: LockLost | None = None
        self._mutex = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease {environment}", daemon=True)

    def begin(self, tag: str, sent: float) -> None:
        self._tag, self._sent = tag, sent
        self._thread.start()

    @property
    def holder(self) -> Holder:
        if self._lease.holder is None:
            raise ValueError("a lease that is held has a holder")
        return self._lease.holder

    def check(self) -> None:
        if self._lost is None and self._terms.elapsed() >= self._sent + self._lease.length:
            self._lost = LockLost(self._environment, "it could not be renewed in time")
        if self._lost is not None:
            raise self._lost

    def working_on(self, run_id: str) -> None:
        self._renew(replace(self.holder, run_id=run_id))
        self.check()

    def release(self) -> None:
        self._stop.set()
        self._thread.join()
        if self._lost is not None:
            return
        try:
            self._renew(None)
        except LockLost:
            return
        self._lost = LockLost(self._environment, "it was given back")

    def _keep(self) -> None:
        while not self._stop.wait(self._terms.renew_every):
            try:
                with logs.timed("lock", action="renew", environment=self._environment):
                    self._renew(self.holder)
                    self.check()
            except StateUnreachable:
                continue  # tried again until the lease is over; check() notices that
            except StateDamaged as error:
                self._lost = LockLost(self._environment, error.message)
                self._terms.on_lost(self._lost)
                return
            except LockLost as lost:
                self._terms.on_lost(lost)
                return

    def _renew(self, holder: Holder | None) -> None:
        """Write the lease again. Raises LockLost when another has it, StateUnreachable when S3 does not answer."""
        with self._mutex:
            self.check()
            lease = replace(self._lease, holder=holder, renewal=self._lease.renewal + 1)
            sent = self._terms.elapsed()
            try:
                tag = self._store.swap(_key(self._environment), lease.encode(), self._tag)
            except SwapLostError:
                tag = self._tag_if_ours(lease)
            self._tag, self._sent, self._lease = tag, sent, lease if holder else self._lease

    def _tag_if_ours(self, lease: _Lease) -> str:
        """The tag of the lease if it is ours: after a lost answer, the retry of a successful swap fails."""
        stored = self._store.get(_key(self._environment))
        if stored is not None and stored.body == lease.encode():
            return stored.tag
        found = _decode(stored, self._store.url) if stored else None
        self._lost = LockLost(self._environment, f"broken by {found.holder}" if found else "it was removed")
        raise self._lost


def _acquire_lease(
    store: SwapStore, environment: str, holder: Holder, terms: LeaseTerms, force: str | None
) -> Lock:
    wanted = _Lease(holder, terms.length, 0)
    found: _Lease | None = None
    sent = terms.elapsed()  # before any write of ours, so that we never trust the lease for too long
    for _ in range(_ATTEMPTS):
        stored = store.get(_key(environment))
        tag = None
        if stored is None:
            _try_create(store, environment, wanted)
        else:
            found = _decode(stored, store.url)
            if stored.body == wanted.encode():
                tag = stored.tag
            elif _may_take(store, environment, stored, found, force):
                tag = _try_swap(store, environment, wanted, stored.tag)
            else:
                raise LockHeld(environment, found.holder)
        if tag is not None:
            lock = _HeldLease(store, environment, wanted, terms)
            lock.begin(tag, sent)
            return lock
    raise LockHeld(environment, found.holder if found else None)


def _may_take(store: SwapStore, environment: str, stored: Stored, lease: _Lease, force: str | None) -> bool:
    if lease.holder is None or lease.holder.token == force:
        return True
    probe = f"locks/{environment}.clock"
    store.put(probe, lease.holder.token.encode())
    now = store.get(probe)
    return now is not None and (now.modified - stored.modified).total_seconds() > lease.length + _MARGIN


def _try_create(store: SwapStore, environment: str, lease: _Lease) -> None:
    try:
        store.create(_key(environment), lease.encode())
    except KeyTakenError:
        return  # read again: it is another's, or our own put whose answer got lost


def _try_swap(store: SwapStore, environment: str, lease: _Lease, tag: str) -> str | None:
    try:
        return store.swap(_key(environment), lease.encode(), tag)
    except SwapLostError:
        return None  # read again, as above


def _decode(stored: Stored, url: str) -> _Lease:
    content = parse(stored.body, url)
    length, renewal = content.get("length"), content.get("renewal")
    return _Lease(
        holder=None if content.get("holder") is None else holder_from_json(content["holder"], url),
        length=float(length) if isinstance(length, int | float) else 0.0,
        renewal=renewal if isinstance(renewal, int) else 0,
    )


def _key(environment: str) -> str:
    return f"locks/{environment}.json"


def holder_to_json(holder: Holder) -> dict[str, object]:
    """The holder as plain JSON."""
    content: dict[str, object] = _form().dump_python(holder, mode="json")
    return content


@cache
def _form() -> TypeAdapter[Holder]:
    return TypeAdapter(Holder)


def holder_from_json(content: object, where: str) -> Holder:
    """The holder that :func:`holder_to_json` wrote. Raises :class:`StateDamaged`."""
    try:
        return _form().validate_python(content)
    except ValidationError as error:
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
