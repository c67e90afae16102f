"""The stores behind a state URL. A new one is a class and a line in `STORES`.

A store with compare-and-swap is locked by a lease, a directory by the operating system (`journal/lock.py`).
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from filelock import FileLock, Timeout
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import LocalStore
from obstore.store import S3Store as ObstoreS3

from regionshift import logs
from regionshift.errors import InputError
from regionshift.journal.lock import (
    Holder,
    Lock,
    LockHeld,
    LockLost,
    holder_from_json,
    holder_to_json,
    parse,
)
from regionshift.journal.store import (
    KeyTakenError,
    S3Access,
    StateStore,
    StateUnreachable,
    Stored,
    SwapLostError,
    checked_key,
    unusable,
)
from regionshift.settings.regions import s3_endpoint
from regionshift.settings.state_url import BucketUrl, FolderUrl, StateUrl, parse_state_url

if TYPE_CHECKING:
    from obstore import PutMode
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Credential

_ASIDE = ".writing"
_SHORT = 10.0  # seconds: taking, breaking and giving back a file's lock take milliseconds
_READERS = 16
_SLOWEST = timedelta(seconds=120)  # an artifact of some 20 MB over a slow line


class _Objects(ABC):
    """The common part of the stores that use obstore."""

    def __init__(self, url: str, store: ObjectStore) -> None:
        self.url = url
        self._store = store

    def get(self, key: str) -> Stored | None:
        with self._told(key, "get"):
            try:
                found = obstore.get(self._store, checked_key(key))
            except FileNotFoundError:
                return None
            return Stored(bytes(found.bytes()), found.meta["e_tag"] or "", found.meta["last_modified"])

    def keys(self, prefix: str) -> list[str]:
        with self._told(prefix, "keys"):
            pages = obstore.list(self._store, checked_key(prefix))
            return sorted(meta["path"] for page in pages for meta in page)

    def folders(self, prefix: str) -> list[str]:
        with self._told(prefix, "folders"):
            listing = obstore.list_with_delimiter(self._store, checked_key(prefix))
            return sorted(path.rstrip("/").rpartition("/")[2] for path in listing["common_prefixes"])

    @contextmanager
    def _told(self, key: str, operation: str) -> Iterator[None]:
        with self.translating(key), logs.timed("state", logs.DETAILS, operation=operation, key=key):
            yield

    @abstractmethod
    def translating(self, key: str) -> AbstractContextManager[None]:
        """Around calls for the object ``key``: errors of the library and the system become StateUnreachable."""


class FileStore(_Objects):
    """A :class:`~regionshift.journal.lock.LockingStore` over a directory, made with owner-only rights.

    obstore writes local files atomically but never fsyncs them (seen with strace, obstore 0.12.1). An object is
    therefore first written to a temporary file and fsynced, then renamed or linked atomically. Last, the directory is
    fsynced. So after a power cut a name either has all its bytes or does not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = root.as_uri()
        with self.translating("open"):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            (root / _ASIDE).mkdir(mode=0o700, exist_ok=True)
            super().__init__(self.url, LocalStore(root))
        self._synced: set[Path] = set()
        self._mutex = threading.Lock()

    def create(self, key: str, body: bytes) -> None:
        with self._told(key, "create"):
            self._place(key, body, overwrite=False)

    def put(self, key: str, body: bytes) -> None:
        with self._told(key, "put"):
            self._place(key, body, overwrite=True)

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        found = ((key, self.get(key)) for key in keys)
        return {key: stored.body for key, stored in found if stored is not None}

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            with self._told(key, "delete"):
                try:
                    obstore.delete(self._store, checked_key(key))
                except FileNotFoundError:
                    continue
                self._sync_directory((self.root / key).parent)

    def take_lock(self, environment: str, holder: Holder, force: str | None) -> Lock:
        files = _LockFiles(self, environment)
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

    def lock_holder(self, environment: str) -> Holder | None:
        files = _LockFiles(self, environment)
        with files.alone():
            free = files.try_lock()
            if free is None:
                return files.read()
            free.release()
            return None  # what a dead process left behind does not count

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
        """Make a new name durable. The first time in a directory, also the names of its parents."""
        _sync(directory)
        with self._mutex:
            known = directory in self._synced
            self._synced.add(directory)
        if not known and directory != self.root:
            self._sync_directory(directory.parent)

    @contextmanager
    def translating(self, key: str) -> Iterator[None]:
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


class _HeldFile(Lock):
    def __init__(self, files: _LockFiles, held: FileLock, holder: Holder) -> None:
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


class _LockFiles:
    """The three files of one environment's lock.

    The operating system's lock on ``path`` is free the moment its holder dies. The JSON file names the holder, and
    counts only while the lock is held. Both change together, under a third, short lock, so readers never see them
    disagree. To break a lock, ``path`` is replaced by a new file. The old holder then has a lock on a file without a
    name, and sees in the JSON file that it lost.
    """

    def __init__(self, store: FileStore, environment: str) -> None:
        self.environment = environment
        self._store = store
        self._key = f"locks/{environment}.json"
        folder = store.root / "locks"
        with store.translating("locks"):
            folder.mkdir(mode=0o700, exist_ok=True)
        self.path: Path = folder / f"{environment}.lock"
        self._short: Path = folder / f"{environment}.short"

    @contextmanager
    def alone(self) -> Iterator[None]:
        short = FileLock(self._short, timeout=_SHORT, thread_local=False)
        with self._store.translating(f"locks/{self._short.name}"):
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
        """Remove the lock's file: a new lock begins in a new one. The old holder keeps a file without a name."""
        with self._store.translating(f"locks/{self.path.name}"):
            self.path.unlink(missing_ok=True)

    def try_lock(self) -> FileLock | None:
        lock = FileLock(self.path, blocking=False, thread_local=False)
        with self._store.translating(f"locks/{self.path.name}"):
            try:
                lock.acquire()
            except Timeout:
                return None
        return lock


class S3Store(_Objects):
    """A :class:`~regionshift.journal.store.SwapStore` in a bucket. An answered write is durable and listed."""

    def __init__(self, bucket: str, prefix: str, access: S3Access) -> None:
        options: ClientConfig = {"timeout": _SLOWEST, "connect_timeout": timedelta(seconds=5)}
        if access.ca_bundle is not None:
            options["root_certificate"] = access.ca_bundle
        retry: RetryConfig = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}
        store = ObstoreS3(
            bucket,
            prefix=prefix or None,
            config={
                "region": access.region,
                "endpoint": access.endpoint or s3_endpoint(access.region),
                "conditional_put": "etag",
                "skip_signature": False,
            },
            client_options=options,
            retry_config=retry,
            credential_provider=lambda: _credential(access),
        )
        super().__init__(f"s3://{bucket}/{prefix}".rstrip("/"), store)

    def create(self, key: str, body: bytes) -> None:
        self._put(key, body, "create", KeyTakenError)

    def put(self, key: str, body: bytes) -> None:
        self._put(key, body, "overwrite", None)

    def swap(self, key: str, body: bytes, tag: str) -> str:
        return self._put(key, body, {"e_tag": tag}, SwapLostError)

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        wanted = list(keys)
        with ThreadPoolExecutor(_READERS) as pool:
            found = zip(wanted, pool.map(self.get, wanted), strict=True)
            return {key: stored.body for key, stored in found if stored is not None}

    def delete(self, keys: Iterable[str]) -> None:
        wanted = [checked_key(key) for key in keys]
        if wanted:
            with self._told(wanted[0], "delete"):
                obstore.delete(self._store, wanted)

    def _put(self, key: str, body: bytes, mode: PutMode, lost: type[Exception] | None) -> str:
        with self._told(key, "put"):
            try:
                done = obstore.put(self._store, checked_key(key), body, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError) as error:
                if lost is None:  # another write of it was under way (409), and S3 went on saying so
                    raise
                raise lost(key) from error
            return done["e_tag"] or ""

    @contextmanager
    def translating(self, key: str) -> Iterator[None]:
        where = f"{self.url}/{key}"
        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise StateUnreachable(
                "S3 refused access to the state",
                where=where,
                remedy="the credentials need s3:ListBucket, GetObject, PutObject and DeleteObject there",
            ) from error
        except (BaseError, OSError) as error:
            raise unusable(error, where, "check the bucket's name, its region and the network") from error


def _credential(access: S3Access) -> S3Credential:
    given = access.credentials()
    return {
        "access_key_id": given.access_key,
        "secret_access_key": given.secret_key,
        "token": given.session_token,
        "expires_at": given.expires,
    }


def _open_bucket(url: BucketUrl, s3: S3Access | None) -> StateStore:
    if s3 is None:
        raise InputError(
            f"state {url.text!r} needs credentials",
            where="state",
            remedy="give access to S3, or a folder (file://…)",
            error_id="RS-SETTINGS-007",
        )
    return S3Store(url.bucket, url.prefix, replace(s3, region=url.region or s3.region))


STORES: dict[type[StateUrl], Callable[[Any, S3Access | None], StateStore]] = {
    FolderUrl: lambda url, _: FileStore(url.folder),
    BucketUrl: _open_bucket,
}
"""What opens the store of each kind of state URL (`settings/state_url.py`)."""


def open_state(text: str, s3: S3Access | None = None) -> StateStore:
    """The store behind a state URL.

    Args:
        s3: how S3 is reached, for a state that lies there.

    Raises:
        InputError: it is no state URL, or lacks a part that its store needs.
        StateUnreachable: the store cannot be used.
    """
    url = parse_state_url(text)
    if problem := url.problem:
        raise InputError(
            f"state {text!r} cannot be used",
            where="state",
            remedy=f"write the state as {problem}",
            error_id="RS-SETTINGS-007",
        )
    return STORES[type(url)](url, s3)
