"""The S3 requests of the carrier, and the XML of their answers. Names are those of the S3 API Reference."""

from __future__ import annotations

import base64
import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote, unquote_plus
from xml.sax.saxutils import escape

from regionshift.carriers.carrier import VersionIdentity, date_of
from regionshift.carriers.transport import Response, S3Error, S3Request, Transport
from regionshift.errors import WorkFailed

_NAMESPACE = b' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # XML 1.0, section 2.2
_KEPT_BY_NUMBER = {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}


# Objects of these classes must be restored before they can be read (S3 User Guide, "Working with archived objects").
_ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})

NULL = "null"
"""The version id of objects that were written while the bucket kept no versions."""
_MOST_KEYS = 1000
_WITH_RESTORES = {"x-amz-optional-object-attributes": "RestoreStatus"}


class Version(NamedTuple):
    """One version of an object, or a delete marker. Size in bytes.

    ``restored``: it is archived, and S3 has a temporary copy that can be read. ``modified``: a date in S3's format.
    """

    key: str
    id: str
    latest: bool
    etag: str
    size: int
    marker: bool
    storage_class: str
    restored: bool = False
    modified: str = ""

    @property
    def identity(self) -> VersionIdentity:
        """Its identity. The version ``null`` needs its date, because writes replace it while versioning is suspended.

        S3 User Guide, "Adding objects to versioning-suspended buckets".
        """
        if self.id != NULL:
            return VersionIdentity(self.id)
        return VersionIdentity(self.id, self.date, self.etag)

    @property
    def date(self) -> str:
        """When it was written, in UTC; empty when S3 does not say."""
        return date_of(datetime.fromisoformat(self.modified)) if self.modified else ""

    @property
    def is_out_of_reach(self) -> bool:
        """Whether it must be restored before it can be copied."""
        return is_archived(self.storage_class) and not self.restored


def is_archived(storage_class: str) -> bool:
    """Whether objects of this class must be restored before they can be read."""
    return storage_class in _ARCHIVED


class Page(NamedTuple):
    """One answer of ListObjectVersions; ``next``: the (key, version) markers of the next page, None at the end."""

    versions: list[Version]
    prefixes: list[str]
    next: tuple[str, str] | None


def parse(body: bytes) -> ET.Element:
    """Return the root of an answer, without S3's namespace.

    Raises:
        WorkFailed: it is not XML.
    """
    try:
        return ET.fromstring(body.replace(_NAMESPACE, b"", 1))
    except ET.ParseError as error:
        raise WorkFailed(f"S3's answer cannot be read: {error}.", error_id="RS-CARRY-011") from error


def read_page(body: bytes) -> Page:
    """Read an answer of ListObjectVersions, with its keys decoded."""
    root = parse(body)
    decode: Callable[[str], str] = unquote_plus if root.findtext("EncodingType") == "url" else str
    versions: list[Version] = []
    prefixes: list[str] = []
    for element in root:
        if element.tag in ("Version", "DeleteMarker"):
            versions.append(_version(element, decode))
        elif element.tag == "CommonPrefixes":
            prefixes.append(decode(element.findtext("Prefix", "")))
    following = None
    if root.findtext("IsTruncated") == "true":
        following = decode(root.findtext("NextKeyMarker", "")), root.findtext("NextVersionIdMarker", "")
    return Page(versions, prefixes, following)


def read_names(body: bytes) -> tuple[list[str], str]:
    """Read an answer of ListObjectsV2: the keys, and the continuation token (empty at the end)."""
    root = parse(body)
    decode: Callable[[str], str] = unquote_plus if root.findtext("EncodingType") == "url" else str
    names = [decode(entry.findtext("Key", "")) for entry in root.findall("Contents")]
    return names, root.findtext("NextContinuationToken", "")


def _version(element: ET.Element, decode: Callable[[str], str]) -> Version:
    found = {child.tag: child.text or "" for child in element}
    return Version(
        key=decode(found["Key"]),
        id=found.get("VersionId", NULL),
        latest=found.get("IsLatest") == "true",
        etag=found.get("ETag", ""),
        size=int(found.get("Size") or 0),
        marker=element.tag == "DeleteMarker",
        storage_class=found.get("StorageClass", ""),
        restored="RestoreStatus" in found
        and element.findtext("RestoreStatus/IsRestoreInProgress") == "false",
        modified=found.get("LastModified", ""),
    )


def can_be_in_xml(key: str) -> bool:
    """Whether DeleteObjects can name ``key``. S3 allows keys with characters that XML 1.0 does not."""
    return _NOT_IN_XML.search(key) is None


def delete_request(versions: Iterable[tuple[str, str]]) -> bytes:
    """Return the body of DeleteObjects for (key, version id) pairs; an empty id writes a delete marker."""
    objects = "".join(
        f"<Object><Key>{escape(key, _KEPT_BY_NUMBER)}</Key>"
        + (f"<VersionId>{escape(version)}</VersionId>" if version else "")
        + "</Object>"
        for key, version in versions
    )
    return f'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{objects}</Delete>'.encode()


def read_deletions(body: bytes) -> tuple[dict[str, str], dict[str, str]]:
    """Read an answer of DeleteObjects: {key: delete marker written}, {key: error}."""
    root = parse(body)
    done = {
        entry.findtext("Key", ""): entry.findtext("DeleteMarkerVersionId", "")
        for entry in root.findall("Deleted")
    }
    failed = {
        entry.findtext("Key", ""): f"{entry.findtext('Code')}: {entry.findtext('Message')}"
        for entry in root.findall("Error")
    }
    return done, failed


def read_tags(body: bytes) -> dict[str, str]:
    """Read an answer of GetObjectTagging."""
    return {tag.findtext("Key", ""): tag.findtext("Value", "") for tag in parse(body).iter("Tag")}


@dataclass(frozen=True)
class Bucket:
    """A bucket and its region; ``account``: its owner, when that is not the environment's account."""

    region: str
    name: str
    account: str = ""


@dataclass(frozen=True)
class Pinned:
    """One version of one object, with the etag it must have (empty: any)."""

    bucket: Bucket
    key: str
    version: str
    etag: str = ""

    @property
    def copy_headers(self) -> dict[str, str]:
        """The headers of a copy of exactly this version."""
        source = f"/{self.bucket.name}/{quote(self.key, safe='/~')}?versionId={quote(self.version, safe='')}"
        headers = {"x-amz-copy-source": source}
        if self.etag:
            headers["x-amz-copy-source-if-match"] = self.etag
        return headers


class Calls:
    """S3 requests over one transport. Thread-safe."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def send(
        self,
        method: str,
        bucket: Bucket,
        key: str = "",
        query: tuple[tuple[str, str], ...] = (),
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        repeatable: bool = True,
        source: Bucket | None = None,
    ) -> Response:
        """Send one request. ``source``: the bucket copied from."""
        return self.transport.send(
            S3Request(
                method,
                bucket.region,
                bucket.name,
                key,
                query,
                headers or {},
                body,
                repeatable,
                owner=bucket.account,
                source_owner=source.account if source else "",
            )
        )

    def page(
        self,
        bucket: Bucket,
        prefix: str,
        after: tuple[str, str] = ("", ""),
        *,
        delimiter: str = "",
        most: int = _MOST_KEYS,
    ) -> Page:
        """Return one page of versions of the keys that begin with ``prefix``, after (key, version) ``after``."""
        query = [("encoding-type", "url"), ("max-keys", str(min(most, _MOST_KEYS))), ("prefix", prefix)]
        if delimiter:
            query.append(("delimiter", delimiter))
        if after[0]:
            query.append(("key-marker", after[0]))
        if after[1]:
            query.append(("version-id-marker", after[1]))
        # The signature needs the parameters in order of their names.
        answer = self.send("GET", bucket, query=(*sorted(query), ("versions", "")), headers=_WITH_RESTORES)
        return read_page(answer.body)

    def names(self, bucket: Bucket, prefix: str, after: str = "", most: int = _MOST_KEYS) -> Iterator[str]:
        """Yield keys of current objects after ``after`` that begin with ``prefix``, ``most`` in each request."""
        token = ""
        while True:
            query = [("encoding-type", "url"), ("list-type", "2"), ("max-keys", str(min(most, _MOST_KEYS)))]
            query.append(("prefix", prefix))
            if after:
                query.append(("start-after", after))
            if token:
                query.append(("continuation-token", token))
            found, token = read_names(self.send("GET", bucket, query=tuple(sorted(query))).body)
            yield from found
            if not token:
                return

    def copy(self, source: Pinned, target: Bucket, key: str, headers: Mapping[str, str]) -> str:
        """Copy one pinned version of up to 5 GB (CopyObject); return the new version. Not repeatable."""
        answer = self.send(
            "PUT",
            target,
            key,
            headers={**source.copy_headers, **headers},
            repeatable=False,
            source=source.bucket,
        )
        return answer.headers.get("x-amz-version-id", "")

    def delete(self, bucket: Bucket, key: str, version: str = "") -> str:
        """Delete one version, or without ``version`` write a delete marker; return the marker's id."""
        query = (("versionId", version),) if version else ()
        answer = self.send("DELETE", bucket, key, query, repeatable=bool(version))
        return answer.headers.get("x-amz-version-id", "")

    def delete_versions(self, bucket: Bucket, versions: Sequence[tuple[str, str]]) -> dict[str, str]:
        """Delete (key, version) pairs; return {key: why it failed}."""
        failed: dict[str, str] = {}
        named = [pair for pair in versions if can_be_in_xml(pair[0])]
        for start in range(0, len(named), _MOST_KEYS):
            body = delete_request(named[start : start + _MOST_KEYS])
            headers = {"x-amz-checksum-sha256": _sha256(body), "Content-Type": "application/xml"}
            answer = self.send("POST", bucket, query=(("delete", ""),), headers=headers, body=body)
            failed.update(read_deletions(answer.body)[1])
        for key, version in versions:
            if not can_be_in_xml(key):
                try:
                    self.delete(bucket, key, version)
                except S3Error as error:
                    failed[key] = error.message
        return failed

    def head(self, bucket: Bucket, key: str, version: str) -> Mapping[str, str]:
        """Return the headers of one version, with its stored checksums; names in lower case."""
        query = (("versionId", version),) if version else ()
        return self.send("HEAD", bucket, key, query, headers={"x-amz-checksum-mode": "ENABLED"}).headers

    def get(
        self, bucket: Bucket, key: str, version: str = "", *, span: tuple[int, int] | None = None
    ) -> Response:
        """Read one version, or its bytes ``span`` (first, last), into memory."""
        query = (("versionId", version),) if version else ()
        headers = {"Range": f"bytes={span[0]}-{span[1]}"} if span else {"x-amz-checksum-mode": "ENABLED"}
        return self.send("GET", bucket, key, query, headers=headers)

    def acl(self, bucket: Bucket, key: str, version: str) -> bytes:
        """Return the ACL of one version, as XML."""
        return self.send("GET", bucket, key, (("acl", ""), ("versionId", version))).body

    def tags(self, bucket: Bucket, key: str, version: str) -> dict[str, str]:
        """Return the tags of one version."""
        return read_tags(self.send("GET", bucket, key, (("tagging", ""), ("versionId", version))).body)

    def put(
        self, bucket: Bucket, key: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Write an object with a checksum, which S3 verifies."""
        return self.send(
            "PUT", bucket, key, headers={**(headers or {}), "x-amz-checksum-sha256": _sha256(body)}, body=body
        )

    def configuration(self, bucket: Bucket, name: str) -> bytes | None:
        """Return a bucket's sub-resource (``versioning``, ``replication``, …) as XML; None when it is not set."""
        try:
            return self.send("GET", bucket, query=((name, ""),)).body
        except S3Error as error:
            if error.status == 404 and error.code != "NoSuchBucket":
                return None
            raise


def _sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()
