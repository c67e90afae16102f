"""Which store and which lock stand behind a state URL: ``file://`` or ``s3://``."""

from __future__ import annotations

from datetime import datetime

from regionshift import logs
from regionshift.errors import InputError
from regionshift.journal.lock import Holder, LeaseTerms, Lock
from regionshift.journal.store import S3Access, StateStore, SwapStore
from regionshift.settings.state_url import parse_state_url


def open_state(url: str, s3: S3Access | None = None) -> StateStore:
    """The store behind ``file:///absolute/path`` or ``s3://bucket/prefix``.

    Raises:
        InputError: the URL is neither, or ``s3://`` is given without a way to reach it.
    """
    place = parse_state_url(url)
    problem = place.problem
    if place.folder is None and not problem and (place.region or place.unknown):
        problem = "a plain URL, without a query"
    if problem:
        raise InputError(
            f"state {url!r} cannot be used", where="state", remedy=f"write the state as {problem}"
        )
    if place.folder is not None:
        from regionshift.journal.file_store import FileStore

        return FileStore(place.folder)
    if s3 is None:
        raise InputError(
            f"state {url!r} needs credentials",
            where="state",
            remedy="give access to S3, or a folder (file://…)",
        )
    from regionshift.journal.s3_store import S3Store

    return S3Store(place.bucket, place.prefix, s3)


def acquire(
    store: StateStore, environment: str, holder: Holder, terms: LeaseTerms, force: str | None = None
) -> Lock:
    """Take the environment's lock or refuse at once.

    Args:
        force: the ``token`` of the holder whose lock is to be broken.

    Raises:
        LockHeld: somebody holds it who is not the one named by ``force``.
        StateUnreachable: the state cannot be used.
    """
    with logs.timed("lock", action="break and take" if force else "take", environment=environment):
        if isinstance(store, SwapStore):
            from regionshift.journal.lease import acquire_lease

            return acquire_lease(store, environment, holder, terms, force)
        from regionshift.journal.file_lock import acquire_file

        return acquire_file(store, environment, holder, force)


def current_holder(store: StateStore, environment: str) -> Holder | None:
    """Who holds the lock now, None when it is free; a lease that ran out still names its holder."""
    if isinstance(store, SwapStore):
        from regionshift.journal.lease import lease_holder

        return lease_holder(store, environment)
    from regionshift.journal.file_lock import file_holder

    return file_holder(store, environment)


def living_holder(store: StateStore, environment: str, now: datetime) -> Holder | None:
    """As :func:`current_holder`, without one whose lease ran out; ``now`` is compared with the store's clock."""
    if isinstance(store, SwapStore):
        from regionshift.journal.lease import living_lease_holder

        return living_lease_holder(store, environment, now)
    return current_holder(store, environment)
