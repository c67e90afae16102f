"""Records are sealed, so that a migration cannot be made up by writing to the bucket.

Every record carries, as metadata of its object, when it was written and a MAC over that time, its region, bucket
and name (which holds the migration's id, the kind of record and the batch) and its bytes. The key is derived from
one ``GenerateMac`` of the region's HMAC key (KMS Developer Guide, "HMAC keys in AWS KMS"), which the worker, the
function and whoever runs the command may ask for, and nobody for being let into the bucket. One call a process: the
rest is reckoned here (docs/adr/104).

A record that is put back later is told by S3's own time of the object: no clock that S3 accepts is further off
than 15 minutes (S3 API Reference, "Error responses", RequestTimeTooSkewed).
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from regionshift.errors import Refused

HEADER = "x-amz-meta-regionshift-seal"
_REPLICATED = "x-amz-replication-status"
_LATEST = 900.0  # seconds from sealing to arrival
_CONTEXT = b"regionshift records v1"

Ask = Callable[[bytes], bytes]
"""Gives the MAC of a message under the region's HMAC key."""


class Unsealed(Refused):
    """A record is not what this environment wrote there."""

    error_id = "RS-MIGRATION-008"

    def __init__(self, why: str, where: str) -> None:
        super().__init__(
            f"The record {why}, so Regionshift does not act on it.",
            where=where,
            remedy="somebody else wrote it, or a regionshift from before records were sealed: find out who. A"
            ' migration of such a release is taken back with that release: docs/security.md, "Records"',
        )


class OfAnotherRegion(Unsealed):
    """S3 replicated the record to here from the region whose record it is, which alone acts on it.

    Only S3 gives an object the status REPLICA (S3 User Guide, "Getting replication status information").
    """


def by_kms(generate_mac: Callable[..., Mapping[str, Any]], key: str) -> Ask:
    """Asks KMS; ``key`` is the ARN or alias of an HMAC key of 256 bits."""

    def ask(message: bytes) -> bytes:
        answer: bytes = generate_mac(KeyId=key, Message=message, MacAlgorithm="HMAC_SHA_256")["Mac"]
        return answer

    return ask


class Seals:
    """Seals and checks the records of one bucket. Thread-safe; the key is asked for when it is first needed.

    Args:
        now: the time, with its zone.
    """

    def __init__(self, ask: Ask, region: str, bucket: str, now: Callable[[], datetime]) -> None:
        self._ask, self._now = ask, now
        self._place = _framed(_CONTEXT, region.encode(), bucket.encode())
        self._bucket = bucket
        self._mutex = threading.Lock()
        self._kept: bytes | None = None

    def header(self, name: str, body: bytes) -> dict[str, str]:
        """What the object of a record has beside its bytes."""
        at = f"{self._now().timestamp():.3f}"
        return {HEADER: f"{at} {self._mac(name, at, body)}"}

    def require(self, name: str, body: bytes, headers: Mapping[str, str]) -> None:
        """See that an object is the record of that name. ``headers``: of the answer, in lower case.

        Raises:
            Unsealed: it is not; OfAnotherRegion: because it is a replica.
        """
        where = f"s3://{self._bucket}/{name}"
        at, _, mac = headers.get(HEADER, "").partition(" ")
        kind = OfAnotherRegion if headers.get(_REPLICATED) == "REPLICA" else Unsealed
        if not mac:
            raise kind("is not sealed with the environment's key", where)
        if not hmac.compare_digest(mac.encode(), self._mac(name, at, body).encode()):
            raise kind("was changed, or is not of this place", where)
        # Authentic from here on: the time is what we wrote.
        arrived = parsedate_to_datetime(headers["last-modified"]).timestamp()
        if arrived - float(at) > _LATEST:
            raise Unsealed("is an earlier one that was put back", where)

    def _mac(self, name: str, at: str, body: bytes) -> str:
        framed = _framed(name.encode(), at.encode(), hashlib.sha256(body).digest())
        return hmac.digest(self._key(), framed, "sha256").hex()

    def _key(self) -> bytes:
        with self._mutex:
            if self._kept is None:
                self._kept = self._ask(self._place)
            return self._kept


def _framed(*parts: bytes) -> bytes:
    """The parts with their lengths, so that no two lists of parts are alike."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)
