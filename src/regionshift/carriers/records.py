"""The durable records of a migration: their names in the target's deployment bucket, and how they are written.

::

    migrations/{id}/metadata.json            the summary
    migrations/{id}/asked/{digest}.json      the request that the state machine plans
    migrations/{id}/plan/manifest.jsonl      one line for each batch: the state machine's map runs over it
    migrations/{id}/plan/{batch}.jsonl       a head, then one line for each item
    migrations/{id}/plan/conflicts-{n}.jsonl items that are not copied, and why (1,000 in each)
    migrations/{id}/before/{batch}.jsonl     the earlier state of each target item; the first record wins
    migrations/{id}/results/{batch}.jsonl    the versions written, and their proofs
    migrations/{id}/progress/...             unfinished uploads and comparisons
    migrations/{id}/running/...              leases of calls that copy now
    migrations/{id}/executions/{number}      executions of the state machine, written before each starts
    migrations/{id}/shares/{batch}           the progress of a batch
    migrations/{id}/stop                     when this exists, copying stops
    migrations/.locks/{target}.json          the migration that has locked a target
    migrations/.carried/{pair}/{id}          the migrations from one source to one target
    rollbacks/{id}/rollback.json, rollbacks/{id}/results/{batch}.jsonl
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from regionshift.carriers.lines import Line, dump, from_bytes
from regionshift.carriers.s3.calls import Bucket, Calls
from regionshift.carriers.seals import Seals
from regionshift.carriers.transport import S3Error, Transport
from regionshift.errors import InputError

OWNED = ("migrations/", "rollbacks/")
"""Prefixes of the records of migrations; never carried."""

PROBES = "regionshift-probes/"
"""Prefix of the objects that measure replication."""

PROGRAMS_OWN = (*OWNED, PROBES, "artifacts/", "state/")
"""Prefixes of the program's own keys in a deployment bucket: never carried, never overwritten."""

LOCKS = ".locks"
"""The folder of locks under ``migrations/``."""

CARRIED = ".carried"
"""The folder under ``migrations/`` that lists the migrations by source and target."""

_CONFLICTS = 5  # attempts of a conditional write while others write the same name

# Not only dots: HTTP libraries resolve such a folder.
_ID = re.compile(r"(?!\.+\Z)[A-Za-z0-9._-]{1,128}")


def is_id(name: str) -> bool:
    """Whether ``name`` is valid as a migration's id."""
    return name not in (LOCKS, CARRIED) and _ID.fullmatch(name) is not None


def require_id(migration_id: object) -> str:
    """Return ``migration_id`` when it is valid, so that it cannot lead out of its folder.

    Raises:
        InputError: it is not valid.
    """
    if not isinstance(migration_id, str) or not is_id(migration_id):
        raise InputError(
            f"{migration_id!r} cannot be a migration's id.",
            where="migration_id",
            remedy="Use 1 to 128 letters, digits, dots, dashes and underscores, not dots alone.",
            error_id="RS-USAGE-001",
        )
    return migration_id


class RecordStore:
    """Small objects in one bucket. Each is sealed, so that a read returns only what was written here. Thread-safe."""

    def __init__(self, transport: Transport, region: str, bucket: str, seals: Seals) -> None:
        self._calls = Calls(transport)
        self._bucket = Bucket(region, bucket)
        self._seals = seals

    @property
    def region(self) -> str:
        """The region of the records, which is the migration's target region."""
        return self._bucket.region

    @property
    def bucket(self) -> str:
        """The bucket of the records."""
        return self._bucket.name

    def where(self, name: str) -> str:
        """Return a record's name for errors."""
        return f"s3://{self.bucket}/{name}"

    def put(self, name: str, body: bytes) -> str:
        """Write or overwrite; return the etag for ``replace``."""
        headers = self._seals.header(name, body)
        return self._calls.put(self._bucket, name, body, headers).headers.get("etag", "")

    def create(self, name: str, body: bytes) -> bool:
        """Write, unless the record exists: then return False (S3 User Guide, "Conditional writes")."""
        return self._put_if(name, body, {"If-None-Match": "*"})

    def replace(self, name: str, body: bytes, etag: str) -> bool:
        """Overwrite the record that has ``etag``; return False when it has changed or was deleted."""
        if self._put_if(name, body, {"If-Match": etag}):
            return True
        # The write may have been done and repeated, because its answer was lost.
        return self.get(name) == body

    def look(self, name: str) -> tuple[bytes, str] | None:
        """Return the bytes and the etag, or None when there is no such record.

        Raises:
            Unsealed: the record was not written here under that name.
        """
        try:
            found = self._calls.get(self._bucket, name)
        except S3Error as error:
            if error.code == "NoSuchKey":
                return None
            raise
        self._seals.require(name, found.body, found.headers)
        return found.body, found.headers.get("etag", "")

    def get(self, name: str) -> bytes | None:
        """Return the bytes, or None when there is no such record. Raises as ``look``."""
        found = self.look(name)
        return None if found is None else found[0]

    def exists(self, name: str) -> bool:
        """Whether the record exists."""
        try:
            self._calls.send("HEAD", self._bucket, name)
        except S3Error as error:
            if error.status == 404:
                return False
            raise
        return True

    def delete(self, name: str) -> None:
        """Delete. The bucket keeps the old version."""
        self._calls.send("DELETE", self._bucket, name)

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the names of the folders directly under ``prefix``."""
        after: tuple[str, str] | None = ("", "")
        while after is not None:
            page = self._calls.page(self._bucket, prefix, after, delimiter="/")
            yield from (folder[len(prefix) :].rstrip("/") for folder in page.prefixes)
            after = page.next

    def names(self, prefix: str) -> Iterator[str]:
        """Yield the names of the records that begin with ``prefix``."""
        return self._calls.names(self._bucket, prefix)

    def some_names(self, prefix: str, after: str, most: int) -> list[str]:
        """Return the first names after ``after`` that begin with ``prefix``, at most ``most``."""
        return list(islice(self._calls.names(self._bucket, prefix, after, most), most))

    def get_json(self, name: str) -> dict[str, Any] | None:
        """Return a record that is one JSON value."""
        body = self.get(name)
        if body is None:
            return None
        value: dict[str, Any] = json.loads(body)
        return value

    def put_json(self, name: str, value: Mapping[str, Any]) -> str:
        """Write or overwrite a record that is one JSON value; return its etag."""
        return self.put(name, dump(value).encode() + b"\n")

    def _put_if(self, name: str, body: bytes, condition: Mapping[str, str]) -> bool:
        for _ in range(_CONFLICTS):
            try:
                self._calls.put(self._bucket, name, body, {**condition, **self._seals.header(name, body)})
            except S3Error as error:
                # 409: another write of the name was running; S3 asks to try again. 404: nothing to match.
                if error.code == "ConditionalRequestConflict":
                    continue
                if error.status == 412 or (error.status == 404 and error.code != "NoSuchBucket"):
                    return False
                raise
            return True
        return False


class Layout:
    """The names of one migration's records."""

    def __init__(self, migration_id: str) -> None:
        self.id = require_id(migration_id)
        self._root = f"migrations/{self.id}"
        self.metadata = f"{self._root}/metadata.json"
        self.manifest = f"{self._root}/plan/manifest.jsonl"
        self.stop = f"{self._root}/stop"
        self.executions = f"{self._root}/executions/"
        self.rollback = f"rollbacks/{self.id}/rollback.json"

    def asked(self, digest: str) -> str:
        """A request to plan."""
        return f"{self._root}/asked/{digest}.json"

    def plan(self, batch: int) -> str:
        """One batch's items."""
        return f"{self._root}/plan/{batch:08d}.jsonl"

    def conflicts(self, part: int) -> str:
        """Items that are not copied."""
        return f"{self._root}/plan/conflicts-{part:08d}.jsonl"

    def before(self, batch: int) -> str:
        """The earlier state of one batch's targets."""
        return f"{self._root}/before/{batch:08d}.jsonl"

    def results(self, batch: int) -> str:
        """The results of one batch."""
        return f"{self._root}/results/{batch:08d}.jsonl"

    def undone(self, batch: int) -> str:
        """The results of undoing one batch."""
        return f"rollbacks/{self.id}/results/{batch:08d}.jsonl"

    def share(self, batch: int) -> str:
        """The progress of one batch."""
        return f"{self._root}/shares/{batch:08d}"

    def running(self, name: str) -> str:
        """The lease of one call."""
        return f"{self._root}/running/{name}"

    def progress(self, batch: int, key: str) -> str:
        """The notes about one unfinished item. Keys can contain anything, so the name has their digest."""
        return f"{self._root}/progress/{batch:08d}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


class MigrationRecords(Layout):
    """One migration's records: their names and their store.

    Raises:
        InputError: the id is not valid.
    """

    def __init__(self, store: RecordStore, migration_id: str) -> None:
        super().__init__(migration_id)
        self.store = store

    def where(self, name: str) -> str:
        """Return a record's name for errors."""
        return self.store.where(name)

    def lines(self, name: str) -> list[Line]:
        """Return the lines of a record; none when it does not exist."""
        return from_bytes(self.store.get(name) or b"")


class StoredProgress:
    """Notes about unfinished items of one batch, a small record each."""

    def __init__(self, records: MigrationRecords, batch: int) -> None:
        self._records, self._batch = records, batch

    def read(self, key: str) -> Mapping[str, str]:
        """See ``ItemProgress.read``."""
        return self._records.store.get_json(self._records.progress(self._batch, key)) or {}

    def note(self, key: str, notes: Mapping[str, str]) -> None:
        """See ``ItemProgress.note``."""
        self._records.store.put_json(self._records.progress(self._batch, key), notes)
