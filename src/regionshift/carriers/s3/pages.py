"""S3's XML answers as values."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import unquote_plus
from xml.sax.saxutils import escape

from regionshift.carriers.carrier import VersionIdentity, date_of
from regionshift.errors import WorkFailed

_NAMESPACE = b' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # XML 1.0, section 2.2
_KEPT_BY_NUMBER = {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}


# S3 User Guide, "Working with archived objects": these must be restored before they can be read or copied.
_ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})

NULL = "null"
"""The id of a version that was written while the bucket kept no versions; the same for every object."""


class Version(NamedTuple):
    """One version of one object, or one delete marker. Size in bytes.

    ``restored``: it is archived, and a copy that can be read is there for a while. ``modified``: as S3 writes it.
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
        """What it is told by: writes replace the version ``null`` while versioning is off or suspended.

        S3 User Guide, "Adding objects to versioning-suspended buckets".
        """
        if self.id != NULL:
            return VersionIdentity(self.id)
        return VersionIdentity(self.id, self.date, self.etag)

    @property
    def date(self) -> str:
        """When it was made, in UTC; empty when S3 does not say."""
        return date_of(datetime.fromisoformat(self.modified)) if self.modified else ""

    @property
    def is_out_of_reach(self) -> bool:
        """Whether it cannot be copied before it is restored."""
        return is_archived(self.storage_class) and not self.restored


def is_archived(storage_class: str) -> bool:
    """Whether objects of this class cannot be read as they are."""
    return storage_class in _ARCHIVED


class Page(NamedTuple):
    """One answer of ListObjectVersions; ``next`` is where the following page begins, None at the end."""

    versions: list[Version]
    prefixes: list[str]
    next: tuple[str, str] | None


def parse(body: bytes) -> ET.Element:
    """An answer's root, with S3's namespace left out so that names can be written plainly.

    Raises:
        WorkFailed: it is no XML.
    """
    try:
        return ET.fromstring(body.replace(_NAMESPACE, b"", 1))
    except ET.ParseError as error:
        raise WorkFailed(f"S3's answer cannot be read: {error}.") from error


def read_page(body: bytes) -> Page:
    """ListObjectVersions' answer, keys decoded."""
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
    """ListObjectsV2's answer: the keys, and the token that goes on (empty at the end)."""
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
    """Whether DeleteObjects can name ``key``; S3 allows keys that XML 1.0 cannot hold."""
    return _NOT_IN_XML.search(key) is None


def delete_request(versions: Iterable[tuple[str, str]]) -> bytes:
    """The body of DeleteObjects for (key, version id) pairs; an empty id makes a delete marker."""
    objects = "".join(
        f"<Object><Key>{escape(key, _KEPT_BY_NUMBER)}</Key>"
        + (f"<VersionId>{escape(version)}</VersionId>" if version else "")
        + "</Object>"
        for key, version in versions
    )
    return f'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{objects}</Delete>'.encode()


def read_deletions(body: bytes) -> tuple[dict[str, str], dict[str, str]]:
    """DeleteObjects' answer: {key: delete marker made}, {key: error}."""
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


def tagging_request(tags: Mapping[str, str]) -> bytes:
    """The body of PutObjectTagging."""
    pairs = "".join(
        f"<Tag><Key>{escape(key, _KEPT_BY_NUMBER)}</Key><Value>{escape(value, _KEPT_BY_NUMBER)}</Value></Tag>"
        for key, value in tags.items()
    )
    return f"<Tagging><TagSet>{pairs}</TagSet></Tagging>".encode()


def read_tags(body: bytes) -> dict[str, str]:
    """GetObjectTagging's answer."""
    return {tag.findtext("Key", ""): tag.findtext("Value", "") for tag in parse(body).iter("Tag")}
