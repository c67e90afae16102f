"""What objects of a source have that a copy does not get: grants of an ACL, a retention, a legal hold.

S3 API Reference, "CopyObject": a copy gets the private ACL, and no Object Lock settings. No listing shows either, so
objects are asked one by one, and only where the bucket says that they can have any: a bucket that enforces its owner
has no ACLs (S3 User Guide, "Controlling ownership of objects and disabling ACLs"), one without Object Lock no
retention and no hold.

Retention and hold come with a HEAD, and only to those who may read them: without s3:GetObjectRetention and
s3:GetObjectLegalHold the answer leaves them out in silence (S3 API Reference, "HeadObject").
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace

from regionshift.carriers.carrier import Entry, Item, ItemState
from regionshift.carriers.s3.calls import Bucket, Calls
from regionshift.carriers.s3.copying import bucket_of
from regionshift.carriers.s3.pages import parse
from regionshift.carriers.transport import S3Error

_AHEAD = 64  # questions under way at once
MOST_ASKED = 10_000
"""Objects of an entry that are asked: a request or two each, and nothing is copied meanwhile."""

_EVERYBODY = frozenset(
    {
        "http://acs.amazonaws.com/groups/global/AllUsers",
        "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
    }
)


@dataclass(frozen=True)
class Possible:
    """What objects of a bucket can have. ``unseen``: what could not be asked about the bucket."""

    acls: bool = False
    locks: bool = False
    unseen: tuple[str, ...] = ()


def possible(calls: Calls, bucket: Bucket) -> Possible:
    """Ask the bucket."""
    unseen: list[str] = []

    def has(name: str, path: str, value: str, what: str) -> bool | None:
        try:
            body = calls.configuration(bucket, name)
        except S3Error as error:
            if error.status != 403:
                raise
            unseen.append(f"{what}: no permission to look")
            return None
        return body is not None and parse(body).findtext(path) == value

    enforced = has("ownershipControls", "Rule/ObjectOwnership", "BucketOwnerEnforced", "ACL")
    locked = has("object-lock", "ObjectLockEnabled", "Enabled", "retention and legal hold")
    return Possible(enforced is False, locked is True, tuple(unseen))


def with_left_behind(calls: Calls, entry: Entry, items: Iterator[Item], pool: Executor) -> Iterator[Item]:
    """The items; those that are to be written say what they leave behind."""
    bucket = bucket_of(entry, "source")
    found: Possible | None = None
    asked = 0

    def look(item: Item, what: Possible) -> Item:
        version = item.versions[-1]
        left = tuple(_of_object(calls, bucket, entry.source.prefix + item.key, version.id, what))
        return replace(item, left=(*item.left, *left))

    def judge(item: Item) -> Future[Item] | Item:
        nonlocal found, asked
        if item.kind not in (ItemState.NEW, ItemState.CHANGED) or item.versions[-1].marker:
            return item
        found = found or possible(calls, bucket)
        told = replace(item, left=(*item.left, *found.unseen))
        if not found.acls and not found.locks:
            return told
        asked += 1
        if asked <= MOST_ASKED:
            return pool.submit(look, told, found)
        return replace(told, left=(*told.left, f"not looked at, behind the first {MOST_ASKED:,}"))

    running: deque[Future[Item] | Item] = deque()
    for item in items:
        running.append(judge(item))
        if len(running) > _AHEAD:
            yield _done(running.popleft())
    for waiting in running:
        yield _done(waiting)


def _done(waiting: Future[Item] | Item) -> Item:
    return waiting if isinstance(waiting, Item) else waiting.result()


def _of_object(calls: Calls, bucket: Bucket, key: str, version: str, what: Possible) -> Iterator[str]:
    try:
        if what.acls:
            yield from _grants(calls.acl(bucket, key, version))
        if what.locks:
            headers = calls.head(bucket, key, version)
            if "x-amz-object-lock-mode" in headers:
                yield "retention"
            if headers.get("x-amz-object-lock-legal-hold") == "ON":
                yield "legal hold"
    except S3Error as error:
        if error.status == 403:
            yield "ACL, retention and legal hold: no permission to look"
        elif error.status != 404:  # what is gone fails by name when it is copied
            raise


def _grants(body: bytes) -> Iterator[str]:
    """Whether an ACL gives anybody but the owner anything."""
    root = parse(body)
    owner = root.findtext("Owner/ID")
    others = [
        grantee
        for grantee in root.iterfind("AccessControlList/Grant/Grantee")
        if grantee.findtext("ID") != owner or grantee.findtext("URI")
    ]
    if any(grantee.findtext("URI") in _EVERYBODY for grantee in others):
        yield "public ACL"
    elif others:
        yield "ACL"
