"""The lock on ``s3://``: one object that its holder replaces again and again by compare-and-swap.

Whether a lease ran out is judged by S3's clock alone (when the lease was written, against when a probe
was), so that machines whose clocks differ agree. The holder in turn stops trusting its lease a full lease
length after it *sent* the last renewal that succeeded, which is before anybody else may take it. A lease is
given back by writing that it is free, never by deleting: a delete cannot be made conditional here and might
hit the next holder's.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, replace
from datetime import datetime

from regionshift import logs
from regionshift.journal.lock import (
    Holder,
    LeaseTerms,
    Lock,
    LockHeld,
    LockLost,
    holder_from_json,
    holder_to_json,
    parse,
)
from regionshift.journal.store import (
    KeyTakenError,
    StateDamaged,
    StateUnreachable,
    Stored,
    SwapLostError,
    SwapStore,
)

_ATTEMPTS = 5
_MARGIN = 2.0  # seconds: S3 dates its objects to the second


@dataclass(frozen=True)
class _Lease:
    """What the object says. ``renewal`` makes every write different, and with it the tag of the next swap."""

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
        """Write the lease anew. Raises LockLost when it is another's, StateUnreachable when S3 is away."""
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
        """A swap whose answer got lost succeeds and then loses to itself: what is there now tells."""
        stored = self._store.get(_key(self._environment))
        if stored is not None and stored.body == lease.encode():
            return stored.tag
        found = _decode(stored, self._store.url) if stored else None
        self._lost = LockLost(self._environment, f"broken by {found.holder}" if found else "it was removed")
        raise self._lost


def acquire_lease(
    store: SwapStore, environment: str, holder: Holder, terms: LeaseTerms, force: str | None
) -> Lock:
    """Take the lease; see :func:`regionshift.journal.backends.acquire`."""
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


def lease_holder(store: SwapStore, environment: str) -> Holder | None:
    """Who the lease names; None when it was given back or never taken."""
    stored = store.get(_key(environment))
    return _decode(stored, store.url).holder if stored else None


def living_lease_holder(store: SwapStore, environment: str, now: datetime) -> Holder | None:
    """Who renews the lease; None when nobody does any more."""
    stored = store.get(_key(environment))
    lease = _decode(stored, store.url) if stored else None
    if stored is None or lease is None:
        return None
    return lease.holder if (now - stored.modified).total_seconds() <= lease.length + _MARGIN else None


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
