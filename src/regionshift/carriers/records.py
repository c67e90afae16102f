"""Where a migration's durable record lies in the target's deployment bucket, and how it is written.

::

    migrations/{id}/metadata.json            the summary
    migrations/{id}/asked/{digest}.json      what the state machine is to plan, by its content
    migrations/{id}/plan/manifest.jsonl      one line a batch: the state machine's map runs over it
    migrations/{id}/plan/{batch}.jsonl       a head, then one line an item
    migrations/{id}/plan/conflicts.jsonl     items that are not copied, and why (one part per 1,000)
    migrations/{id}/before/{batch}.jsonl     what each target item was; the first record wins
    migrations/{id}/results/{batch}.jsonl    what was written and proven
    migrations/{id}/progress/...             uploads and comparisons under way
    migrations/{id}/running/...              calls that are copying now, and until when they can be
    migrations/{id}/executions/{number}      executions of the state machine, before each is started
    migrations/{id}/shares/{batch}           how much of a batch is done, while it takes long
    migrations/{id}/stop                     its presence stops the copying
    migrations/.locks/{target}.json          who is migrating onto a target
    migrations/.carried/{pair}/{id}          who has migrated from a source to a target
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
"""What a migration's records begin with; never carried."""

PROBES = "regionshift-probes/"
"""What the objects begin with that replication is measured by."""

PROGRAMS_OWN = (*OWNED, PROBES, "artifacts/", "state/")
"""Beginnings of keys in a deployment bucket that belong to the program: never carried, never written over."""

LOCKS = ".locks"
"""The folder under ``migrations/`` that says who works on a target."""

CARRIED = ".carried"
"""The folder under ``migrations/`` that says which migrations wrote from a source to a target."""

_CONFLICTS = 5  # tries of a conditional write that others get in the way of

# Not of dots alone: HTTP libraries resolve such a folder.
_ID = re.compile(r"(?!\.+\Z)[A-Za-z0-9._-]{1,128}")


def is_id(name: str) -> bool:
    """Whether ``name`` can be a migration's id; what else lies under ``migrations/`` is not ours."""
    return name not in (LOCKS, CARRIED) and _ID.fullmatch(name) is not None


def require_id(migration_id: object) -> str:
    """``migration_id`` itself, when it can be a folder's name and leaves no folder.

    Raises:
        InputError: it cannot.
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
    """Small objects in one bucket, whole or not at all, and sealed: what is read was written here. Thread-safe."""

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
        """How errors name a record."""
        return f"s3://{self.bucket}/{name}"

    def put(self, name: str, body: bytes) -> str:
        """Write or replace; gives the etag, which ``replace`` and ``look`` know it by."""
        headers = self._seals.header(name, body)
        return self._calls.put(self._bucket, name, body, headers).headers.get("etag", "")

    def create(self, name: str, body: bytes) -> bool:
        """Write if nothing is there; false when something is (S3 User Guide, "Conditional writes")."""
        return self._put_if(name, body, {"If-None-Match": "*"})

    def replace(self, name: str, body: bytes, etag: str) -> bool:
        """Write over the record that has ``etag``; false when it is another by now, or gone."""
        if self._put_if(name, body, {"If-Match": etag}):
            return True
        # The answer to a write that was done may have been lost, and the write been repeated.
        return self.get(name) == body

    def look(self, name: str) -> tuple[bytes, str] | None:
        """The bytes and their etag, or None when nothing is there.

        Raises:
            Unsealed: it is not what was written here under that name.
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
        """The bytes, or None when nothing is there. Raises as ``look``."""
        found = self.look(name)
        return None if found is None else found[0]

    def exists(self, name: str) -> bool:
        """Whether something is there."""
        try:
            self._calls.send("HEAD", self._bucket, name)
        except S3Error as error:
            if error.status == 404:
                return False
            raise
        return True

    def delete(self, name: str) -> None:
        """Take away; the bucket keeps the old version."""
        self._calls.send("DELETE", self._bucket, name)

    def folders(self, prefix: str) -> Iterator[str]:
        """Names directly under ``prefix`` that have something under them."""
        after: tuple[str, str] | None = ("", "")
        while after is not None:
            page = self._calls.page(self._bucket, prefix, after, delimiter="/")
            yield from (folder[len(prefix) :].rstrip("/") for folder in page.prefixes)
            after = page.next

    def names(self, prefix: str) -> Iterator[str]:
        """Names of what is there now and begins with ``prefix``."""
        return self._calls.names(self._bucket, prefix)

    def some_names(self, prefix: str, after: str, most: int) -> list[str]:
        """The first names, up to ``most``, that begin with ``prefix`` and come behind ``after``."""
        return list(islice(self._calls.names(self._bucket, prefix, after, most), most))

    def get_json(self, name: str) -> dict[str, Any] | None:
        """A record that is one JSON value."""
        body = self.get(name)
        if body is None:
            return None
        value: dict[str, Any] = json.loads(body)
        return value

    def put_json(self, name: str, value: Mapping[str, Any]) -> str:
        """Write or replace a record that is one JSON value; gives its etag."""
        return self.put(name, dump(value).encode() + b"\n")

    def _put_if(self, name: str, body: bytes, condition: Mapping[str, str]) -> bool:
        for _ in range(_CONFLICTS):
            try:
                self._calls.put(self._bucket, name, body, {**condition, **self._seals.header(name, body)})
            except S3Error as error:
                # 409: another write of the name was under way; S3 asks to try again. 404: nothing to match.
                if error.code == "ConditionalRequestConflict":
                    continue
                if error.status == 412 or (error.status == 404 and error.code != "NoSuchBucket"):
                    return False
                raise
            return True
        return False


class Layout:
    """Names of one migration's records."""

    def __init__(self, migration_id: str) -> None:
        self.id = require_id(migration_id)
        self._root = f"migrations/{self.id}"
        self.metadata = f"{self._root}/metadata.json"
        self.manifest = f"{self._root}/plan/manifest.jsonl"
        self.stop = f"{self._root}/stop"
        self.executions = f"{self._root}/executions/"
        self.rollback = f"rollbacks/{self.id}/rollback.json"

    def asked(self, digest: str) -> str:
        """What is to be planned."""
        return f"{self._root}/asked/{digest}.json"

    def plan(self, batch: int) -> str:
        """One batch's items."""
        return f"{self._root}/plan/{batch:08d}.jsonl"

    def conflicts(self, part: int) -> str:
        """Items that are not copied."""
        return f"{self._root}/plan/conflicts-{part:08d}.jsonl"

    def before(self, batch: int) -> str:
        """What one batch's targets were."""
        return f"{self._root}/before/{batch:08d}.jsonl"

    def results(self, batch: int) -> str:
        """How one batch's items fared."""
        return f"{self._root}/results/{batch:08d}.jsonl"

    def undone(self, batch: int) -> str:
        """How one batch was taken back."""
        return f"rollbacks/{self.id}/results/{batch:08d}.jsonl"

    def share(self, batch: int) -> str:
        """How much of one batch is done."""
        return f"{self._root}/shares/{batch:08d}"

    def running(self, name: str) -> str:
        """The lease of one call."""
        return f"{self._root}/running/{name}"

    def progress(self, batch: int, key: str) -> str:
        """Notes about one item under way; keys can hold anything, so their digest is the name."""
        return f"{self._root}/progress/{batch:08d}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


class MigrationRecords(Layout):
    """One migration's records: their names, and the store that has them.

    Raises:
        InputError: no migration can have this id.
    """

    def __init__(self, store: RecordStore, migration_id: str) -> None:
        super().__init__(migration_id)
        self.store = store

    def where(self, name: str) -> str:
        """How errors name a record."""
        return self.store.where(name)

    def lines(self, name: str) -> list[Line]:
        """The lines of a record; none when it is not there."""
        return from_bytes(self.store.get(name) or b"")


class StoredProgress:
    """Notes about items of one batch that are under way, one small record each."""

    def __init__(self, records: MigrationRecords, batch: int) -> None:
        self._records, self._batch = records, batch

    def read(self, key: str) -> Mapping[str, str]:
        """See ``ItemProgress.read``."""
        return self._records.store.get_json(self._records.progress(self._batch, key)) or {}

    def note(self, key: str, notes: Mapping[str, str]) -> None:
        """See ``ItemProgress.note``."""
        self._records.store.put_json(self._records.progress(self._batch, key), notes)
