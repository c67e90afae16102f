"""State under a prefix of an S3 bucket: what S3 has answered is durable, and listed at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store as ObstoreS3

from regionshift import logs
from regionshift.journal.store import (
    KeyTakenError,
    S3Access,
    StateUnreachable,
    Stored,
    SwapLostError,
    checked_key,
    unusable,
)
from regionshift.settings.regions import s3_endpoint

if TYPE_CHECKING:
    from obstore import PutMode
    from obstore.store import ClientConfig, RetryConfig, S3Credential

_READERS = 16
_SLOWEST = timedelta(seconds=120)  # an artifact of some 20 MB over a slow line


class S3Store:
    """A :class:`~regionshift.journal.store.SwapStore` over ``s3://bucket/prefix``."""

    def __init__(self, bucket: str, prefix: str, access: S3Access) -> None:
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        options: ClientConfig = {"timeout": _SLOWEST, "connect_timeout": timedelta(seconds=5)}
        if access.ca_bundle is not None:
            options["root_certificate"] = access.ca_bundle
        retry: RetryConfig = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}
        self._store = ObstoreS3(
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

    def create(self, key: str, body: bytes) -> None:
        try:
            self._put(key, body, "create")
        except (AlreadyExistsError, PreconditionError) as error:
            raise KeyTakenError(key) from error

    def put(self, key: str, body: bytes) -> None:
        self._put(key, body, "overwrite")

    def swap(self, key: str, body: bytes, tag: str) -> str:
        try:
            return self._put(key, body, {"e_tag": tag})
        except (AlreadyExistsError, PreconditionError) as error:
            raise SwapLostError(key) from error

    def get(self, key: str) -> Stored | None:
        with self._translated(key, "get"):
            try:
                found = obstore.get(self._store, checked_key(key))
                return Stored(bytes(found.bytes()), found.meta["e_tag"] or "", found.meta["last_modified"])
            except FileNotFoundError:
                return None

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        wanted = list(keys)
        with ThreadPoolExecutor(_READERS) as pool:
            found = zip(wanted, pool.map(self.get, wanted), strict=True)
            return {key: stored.body for key, stored in found if stored is not None}

    def keys(self, prefix: str) -> list[str]:
        with self._translated(prefix, "keys"):
            pages = obstore.list(self._store, checked_key(prefix))
            return sorted(meta["path"] for page in pages for meta in page)

    def folders(self, prefix: str) -> list[str]:
        with self._translated(prefix, "folders"):
            listing = obstore.list_with_delimiter(self._store, checked_key(prefix))
            return sorted(path.rstrip("/").rpartition("/")[2] for path in listing["common_prefixes"])

    def delete(self, keys: Iterable[str]) -> None:
        wanted = [checked_key(key) for key in keys]
        if wanted:
            with self._translated(wanted[0], "delete"):
                obstore.delete(self._store, wanted)

    def _put(self, key: str, body: bytes, mode: PutMode) -> str:
        with self._translated(key, "put"):
            return (
                obstore.put(self._store, checked_key(key), body, mode=mode, use_multipart=False)["e_tag"]
                or ""
            )

    @contextmanager
    def _translated(self, key: str, operation: str) -> Iterator[None]:
        where = f"{self.url}/{key}"
        try:
            with logs.timed("state", logs.DETAILS, operation=operation, key=key):
                yield
        except (AlreadyExistsError, PreconditionError):
            raise
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
