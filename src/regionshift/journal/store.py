"""The interface of the stores behind a state URL, with the same guarantees for ``file://`` and ``s3://``.

Everything that must survive the death of this process goes through a :class:`StateStore`. A key that ``create`` or
``put`` wrote is durable when the call returns. ``create`` has exactly one winner. Readers never see half an object.
Only S3 adds compare-and-swap (:class:`SwapStore`); obstore has none for local files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from regionshift.errors import NoRoom, WorkFailed
from regionshift.machine import disk_trouble, is_full

# No key leads out of a folder. The engine keeps its files in a folder whose name begins with a dot.
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/(?!\.\.?(/|$))[A-Za-z0-9._-]+)*")


class StateUnreachable(WorkFailed):
    """The state could not be read or written: network, permissions, disk."""

    error_id = "RS-STATE-001"


class StateFull(StateUnreachable, NoRoom):
    """The disk of the state has no room left."""

    error_id = "RS-FILE-004"


def unusable(error: BaseException, where: str, remedy: str) -> StateUnreachable:
    """The error for a state that could not be read or written. The remedy of a disk error replaces ``remedy``."""
    trouble = disk_trouble(error)
    reason = trouble[0] if trouble else (str(error).splitlines() or [type(error).__name__])[0]
    kind = StateFull if is_full(error) else StateUnreachable
    return kind(
        f"the state could not be used: {reason}", where=where, remedy=trouble[1] if trouble else remedy
    )


class StateDamaged(WorkFailed):
    """An object under the state URL was changed or damaged."""

    error_id = "RS-STATE-002"


class KeyTakenError(Exception):
    """A create-only write lost: the key exists. The caller handles it; people never see it."""


class SwapLostError(Exception):
    """A compare-and-swap lost: the object is no longer the one that was read."""


@dataclass(frozen=True)
class Stored:
    """One object: its bytes, the tag that ``swap`` compares, and when the store says it was written."""

    body: bytes
    tag: str
    modified: datetime


class StateStore(Protocol):
    """Objects by key under one state URL.

    Keys are relative, separated by ``/``, of letters, digits, ``.``, ``_`` and ``-``. Every
    method raises :class:`StateUnreachable` when the state cannot be reached.
    """

    @property
    def url(self) -> str:
        """The state URL, as a person would write it."""
        ...

    def create(self, key: str, body: bytes) -> None:
        """Write a new object, durable on return. Raises :class:`KeyTakenError` when the key exists."""
        ...

    def put(self, key: str, body: bytes) -> None:
        """Write or replace an object, durable on return."""
        ...

    def get(self, key: str) -> Stored | None:
        """The object, or None when there is none."""
        ...

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The bytes of every key that exists."""
        ...

    def keys(self, prefix: str) -> list[str]:
        """Every key below the folder ``prefix``, in order."""
        ...

    def folders(self, prefix: str) -> list[str]:
        """The names of the folders directly below the folder ``prefix``, in order."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects. A missing one is no error."""
        ...


@runtime_checkable
class SwapStore(StateStore, Protocol):
    """A store that can also replace an object only if nobody else has replaced it meanwhile."""

    def swap(self, key: str, body: bytes, tag: str) -> str:
        """Replace the object whose tag is ``tag``, and return the new tag. Raises :class:`SwapLostError`."""
        ...


@dataclass(frozen=True)
class Slot:
    """The object ``key`` of ``store``. It is durable when `write` returns."""

    store: StateStore
    key: str

    def read(self) -> bytes | None:
        """What is in it; None when it is empty."""
        found = self.store.get(self.key)
        return found.body if found else None

    def write(self, body: bytes) -> None:
        """Put ``body`` into it."""
        self.store.put(self.key, body)

    def clear(self) -> None:
        """Empty it."""
        self.store.delete([self.key])


@dataclass(frozen=True)
class Credentials:
    """The credentials that sign requests to S3. ``expires`` None means never."""

    access_key: str
    secret_key: str
    session_token: str | None = None
    expires: datetime | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.access_key})"


@dataclass(frozen=True)
class S3Access:
    """How to reach ``s3://``. Nothing is taken from environment variables.

    Args:
        region: the bucket's region, where the state URL does not say.
        credentials: called again when the last credentials are about to expire.
        endpoint: None for AWS itself.
        ca_bundle: PEM of the authorities to trust; None for the system's.
    """

    region: str
    credentials: Callable[[], Credentials]
    endpoint: str | None = None
    ca_bundle: bytes | None = None


def checked_key(key: str) -> str:
    """``key`` itself. Raises ValueError when it could name something outside the state."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a state key: {key!r}")
    return key
