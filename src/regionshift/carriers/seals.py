"""Seals of records, so that nobody can forge a migration by writing to the bucket.

The metadata of each record's object has the time of writing and a MAC. The MAC covers that time, the region, the
bucket, the name and the bytes. The name has the migration's id, the kind of record and the batch. The MAC's key comes
from one ``GenerateMac`` call with the region's HMAC key (KMS Developer Guide, "HMAC keys in AWS KMS"). The worker, the
function and the command's user have that right; access to the bucket does not give it. Each process makes one call
and computes the MACs itself (docs/adr/104).

An old record that was put back later is recognised by S3's own time of the object. S3 accepts no clock that is more
than 15 minutes off (S3 API Reference, "Error responses", RequestTimeTooSkewed).
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
"""Returns the MAC of a message under the region's HMAC key."""


class Unsealed(Refused):
    """This environment did not write the record."""

    error_id = "RS-MIGRATION-008"

    def __init__(self, why: str, where: str) -> None:
        super().__init__(
            f"The record {why}, so Regionshift does not act on it.",
            where=where,
            remedy="find out who wrote it: somebody else, or a release of regionshift without seals. Roll a migration"
            ' of such a release back with that release: docs/security.md, "Records"',
        )


class OfAnotherRegion(Unsealed):
    """The record is a replica from another region, and only that region uses it.

    Only S3 can give an object the status REPLICA (S3 User Guide, "Getting replication status information").
    """


def by_kms(generate_mac: Callable[..., Mapping[str, Any]], key: str) -> Ask:
    """Return a function that asks KMS; ``key``: ARN or alias of an HMAC key of 256 bits."""

    def ask(message: bytes) -> bytes:
        answer: bytes = generate_mac(KeyId=key, Message=message, MacAlgorithm="HMAC_SHA_256")["Mac"]
        return answer

    return ask


class Seals:
    """Seals and checks the records of one bucket. Thread-safe. Asks for the key when it is first needed.

    Args:
        now: returns the time, with its zone.
    """

    def __init__(self, ask: Ask, region: str, bucket: str, now: Callable[[], datetime]) -> None:
        self._ask, self._now = ask, now
        self._place = _framed(_CONTEXT, region.encode(), bucket.encode())
        self._bucket = bucket
        self._mutex = threading.Lock()
        self._kept: bytes | None = None

    def header(self, name: str, body: bytes) -> dict[str, str]:
        """Return the header with the seal of a record."""
        at = f"{self._now().timestamp():.3f}"
        return {HEADER: f"{at} {self._mac(name, at, body)}"}

    def require(self, name: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Check the seal of the record ``name``. ``headers``: of S3's answer, in lower case.

        Raises:
            Unsealed: the seal is missing or wrong; OfAnotherRegion: because the record is a replica.
        """
        where = f"s3://{self._bucket}/{name}"
        at, _, mac = headers.get(HEADER, "").partition(" ")
        kind = OfAnotherRegion if headers.get(_REPLICATED) == "REPLICA" else Unsealed
        if not mac:
            raise kind("is not sealed with the environment's key", where)
        if not hmac.compare_digest(mac.encode(), self._mac(name, at, body).encode()):
            raise kind("was changed, or was copied from another place", where)
        # From here on the record is authentic, and its time is the one that we wrote.
        arrived = parsedate_to_datetime(headers["last-modified"]).timestamp()
        if arrived - float(at) > _LATEST:
            raise Unsealed("is an old one that was put back", where)

    def _mac(self, name: str, at: str, body: bytes) -> str:
        framed = _framed(name.encode(), at.encode(), hashlib.sha256(body).digest())
        return hmac.digest(self._key(), framed, "sha256").hex()

    def _key(self) -> bytes:
        with self._mutex:
            if self._kept is None:
                self._kept = self._ask(self._place)
            return self._kept


def _framed(*parts: bytes) -> bytes:
    """Join the parts with their lengths, so that different lists of parts give different bytes."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)
