"""State in a directory of this machine.

obstore writes local files atomically but never fsyncs them (seen with strace, obstore 0.12.1). An object is
therefore first written aside and fsynced, then given its name by an atomic rename or link, and last the
directory is fsynced: after a power cut a name either has all its bytes or does not exist.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore

from regionshift import logs
from regionshift.journal.store import KeyTakenError, Stored, checked_key, unusable

_ASIDE = ".writing"


class FileStore:
    """A :class:`~regionshift.journal.store.StateStore` over a directory, made with owner-only rights."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with self.translated("open"):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            (root / _ASIDE).mkdir(mode=0o700, exist_ok=True)
            self._store = LocalStore(root)
        self._synced: set[Path] = set()
        self._mutex = threading.Lock()

    @property
    def url(self) -> str:
        return self.root.as_uri()

    def create(self, key: str, body: bytes) -> None:
        with self._told(key, "create"):
            self._place(key, body, overwrite=False)

    def put(self, key: str, body: bytes) -> None:
        with self._told(key, "put"):
            self._place(key, body, overwrite=True)

    def get(self, key: str) -> Stored | None:
        with self._told(key, "get"):
            try:
                found = obstore.get(self._store, checked_key(key))
            except FileNotFoundError:
                return None
            return Stored(bytes(found.bytes()), found.meta["e_tag"] or "", found.meta["last_modified"])

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        found = ((key, self.get(key)) for key in keys)
        return {key: stored.body for key, stored in found if stored is not None}

    def keys(self, prefix: str) -> list[str]:
        with self._told(prefix, "keys"):
            pages = obstore.list(self._store, checked_key(prefix))
            return sorted(meta["path"] for page in pages for meta in page)

    def folders(self, prefix: str) -> list[str]:
        with self._told(prefix, "folders"):
            listing = obstore.list_with_delimiter(self._store, checked_key(prefix))
            return sorted(path.rstrip("/").rpartition("/")[2] for path in listing["common_prefixes"])

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            with self._told(key, "delete"):
                try:
                    obstore.delete(self._store, checked_key(key))
                except FileNotFoundError:
                    continue
                self._sync_directory((self.root / key).parent)

    def _place(self, key: str, body: bytes, *, overwrite: bool) -> None:
        aside, target = f"{_ASIDE}/{uuid.uuid4().hex}", self.root / checked_key(key)
        try:
            obstore.put(self._store, aside, body, use_multipart=False)
            _sync(self.root / aside)
            obstore.rename(self._store, aside, key, overwrite=overwrite)
        except AlreadyExistsError as error:
            raise KeyTakenError(key) from error
        finally:
            (self.root / aside).unlink(missing_ok=True)
        self._sync_directory(target.parent)

    def _sync_directory(self, directory: Path) -> None:
        """Make a new name durable; the first time in a directory, the names of its parents as well."""
        _sync(directory)
        with self._mutex:
            known = directory in self._synced
            self._synced.add(directory)
        if not known and directory != self.root:
            self._sync_directory(directory.parent)

    @contextmanager
    def _told(self, key: str, operation: str) -> Iterator[None]:
        with (
            self.translated(key),
            logs.timed("state", logs.DETAILS, operation=operation, key=key),
        ):
            yield

    @contextmanager
    def translated(self, key: str) -> Iterator[None]:
        """Around what is done with the file of ``key``: the system's errors become StateUnreachable."""
        try:
            yield
        except (BaseError, OSError) as error:
            raise unusable(
                error, f"{self.url}/{key}", "check that the directory exists, is yours, and its disk has room"
            ) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
