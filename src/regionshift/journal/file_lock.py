"""The lock on ``file://``: an operating-system lock, and a file beside it that says who holds it.

A process that is killed lets go of the operating-system lock at once; what it wrote about itself stays
behind and is believed only while the lock is held. Taking, breaking and giving back happen under a second,
short lock, so that the two files never disagree to a reader. To break a lock its file is replaced by a new
one: the old holder keeps a lock on a file that no longer has a name, and learns from the holder's file that
it lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from regionshift.journal.file_store import FileStore
from regionshift.journal.lock import (
    Holder,
    Lock,
    LockHeld,
    LockLost,
    holder_from_json,
    holder_to_json,
    parse,
)
from regionshift.journal.store import StateStore, StateUnreachable

_SHORT = 10.0


class _HeldFile(Lock):
    def __init__(self, files: _Files, held: FileLock, holder: Holder) -> None:
        self._files = files
        self._held = held
        self._holder = holder

    @property
    def holder(self) -> Holder:
        return self._holder

    def check(self) -> None:
        found = self._files.read()
        if not self._held.is_locked or found is None or found.token != self._holder.token:
            raise LockLost(self._files.environment, f"broken by {found}" if found else "it was given back")

    def working_on(self, run_id: str) -> None:
        with self._files.alone():
            self.check()
            self._holder = replace(self._holder, run_id=run_id)
            self._files.write(self._holder)

    def release(self) -> None:
        if not self._held.is_locked:
            return
        with self._files.alone():
            found = self._files.read()
            if found is not None and found.token == self._holder.token:
                self._files.clear()
            self._held.release()


class _Files:
    """The three files of one environment's lock."""

    def __init__(self, store: FileStore, environment: str) -> None:
        self.environment = environment
        self._store = store
        self._key = f"locks/{environment}.json"
        folder = store.root / "locks"
        with store.translated("locks"):
            folder.mkdir(mode=0o700, exist_ok=True)
        self.path: Path = folder / f"{environment}.lock"
        self._short: Path = folder / f"{environment}.short"

    @contextmanager
    def alone(self) -> Iterator[None]:
        short = FileLock(self._short, timeout=_SHORT, thread_local=False)
        with self._store.translated(f"locks/{self._short.name}"):
            try:
                short.acquire()
            except Timeout as error:
                raise StateUnreachable("the lock's own file stays busy", where=str(self._short)) from error
        try:
            yield
        finally:
            short.release()

    def read(self) -> Holder | None:
        stored = self._store.get(self._key)
        where = f"{self._store.url}/{self._key}"
        return holder_from_json(parse(stored.body, where), where) if stored else None

    def write(self, holder: Holder) -> None:
        self._store.put(self._key, json.dumps(holder_to_json(holder)).encode())

    def clear(self) -> None:
        self._store.delete([self._key])

    def remove(self) -> None:
        """Let a new lock begin in a new file; whoever holds the old one keeps a file without a name."""
        with self._store.translated(f"locks/{self.path.name}"):
            self.path.unlink(missing_ok=True)

    def try_lock(self) -> FileLock | None:
        lock = FileLock(self.path, blocking=False, thread_local=False)
        with self._store.translated(f"locks/{self.path.name}"):
            try:
                lock.acquire()
            except Timeout:
                return None
        return lock


def acquire_file(store: StateStore, environment: str, holder: Holder, force: str | None) -> Lock:
    """Take the lock in a directory; see :func:`regionshift.journal.backends.acquire`."""
    files = _files(store, environment)
    with files.alone():
        held = files.try_lock()
        if held is None:
            found = files.read()
            if found is None or found.token != force:
                raise LockHeld(environment, found)
            files.remove()
            held = files.try_lock()
            if held is None:
                raise LockHeld(environment, found)
        files.write(holder)
    return _HeldFile(files, held, holder)


def file_holder(store: StateStore, environment: str) -> Holder | None:
    """Who holds the lock now; what a dead process left behind does not count."""
    files = _files(store, environment)
    with files.alone():
        free = files.try_lock()
        if free is None:
            return files.read()
        free.release()
        return None


def _files(store: StateStore, environment: str) -> _Files:
    if not isinstance(store, FileStore):
        raise TypeError(f"no lock is known for {type(store).__name__}")
    return _Files(store, environment)
