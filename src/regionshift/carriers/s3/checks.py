"""Checks of both buckets before the first write, and until when a migration can be undone."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from regionshift.carriers.carrier import Entry, Item, ItemState, Limits, SourceVersion
from regionshift.carriers.keys import Keys
from regionshift.carriers.s3.calls import Bucket, Calls, parse
from regionshift.carriers.s3.copying import bucket_of
from regionshift.carriers.s3.multipart import hidden_metadata
from regionshift.carriers.transport import S3Error
from regionshift.errors import InputError, Refused

_DEFAULT_KEY = "Rule/ApplyServerSideEncryptionByDefault/KMSMasterKeyID"
_AHEAD = 64  # requests at once
MOST_ASKED = 10_000
"""The most objects of an entry that are asked for ACLs and locks: one or two requests each, before copying starts."""

_EVERYBODY = frozenset(
    {
        "http://acs.amazonaws.com/groups/global/AllUsers",
        "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
    }
)


def check(calls: Calls, entry: Entry, keys: Keys | None = None) -> Limits:
    """Check that both buckets exist and keep versions, and that writes at the target can be undone.

    Args:
        keys: checks the target bucket's own KMS key; None: not checked.

    Raises:
        InputError: a bucket is missing, in another region or not versioned.
        Refused: no permission; or the target has Object Lock, or encrypts with a key that we cannot use.
    """
    questions = (
        ("source", "versioning"),
        ("target", "versioning"),
        ("target", "object-lock"),
        ("target", "lifecycle"),
    )
    with ThreadPoolExecutor(len(questions) + 1, thread_name_prefix="check") as pool:
        kept = pool.submit(_kept_onward, calls, entry)
        asked = [pool.submit(_ask, calls, bucket_of(entry, side), name, side) for side, name in questions]
    for side, versioning in zip(("source", "target"), asked, strict=False):
        _require_versions(bucket_of(entry, side), versioning.result(), side)
    target = bucket_of(entry, "target")
    lock = asked[2].result()
    if lock is not None and lock.findtext("ObjectLockEnabled") == "Enabled":
        raise Refused(
            f"The target bucket {target.name} is under Object Lock: writes there cannot be undone.",
            where=f"{target.region} s3://{target.name}",
            remedy="Name a bucket without Object Lock as the target.",
            error_id="RS-CARRY-007",
        )
    if keys is not None:
        keys.require()
        if not entry.kms_key:
            _require_usable_key(calls, entry, keys)
    return Limits(_undo_until(asked[3].result(), entry.target.prefix), kept.result())


def check_source(calls: Calls, entry: Entry) -> None:
    """Check only the source, for a target that does not exist yet. Raises as `check`."""
    bucket = bucket_of(entry, "source")
    _require_versions(bucket, _ask(calls, bucket, "versioning", "source"), "source")


def _require_versions(bucket: Bucket, status: ET.Element | None, side: str) -> None:
    if status is None or status.findtext("Status") != "Enabled":
        raise InputError(
            f"The {side} bucket {bucket.name} does not keep versions.",
            where=f"{bucket.region} s3://{bucket.name}",
            remedy=f"Enable versioning: aws s3api put-bucket-versioning --bucket {bucket.name} "
            f"--region {bucket.region} --versioning-configuration Status=Enabled",
            error_id="RS-CARRY-003",
        )


def _require_usable_key(calls: Calls, entry: Entry, keys: Keys) -> None:
    """Check the bucket's own KMS key, which encrypts copies that name no key.

    Raises:
        Refused: the migration has no rights for this key, so each copy would fail.
    """
    target = bucket_of(entry, "target")
    found = _ask(calls, target, "encryption", "target")
    name = found.findtext(_DEFAULT_KEY) if found is not None else None
    if unusable := keys.why_unusable(name):
        raise Refused(
            f"The target bucket {target.name} encrypts with {unusable}.",
            where=f"{target.region} s3://{target.name}",
            remedy=f"Set kms_key: {name} in this entry of carry.s3, then: regionshift up",
            error_id="RS-CARRY-008",
        )


def propagates(calls: Calls, entry: Entry) -> bool:
    """Whether the target bucket replicates any part of the entry onward."""
    return bool(_onward(calls, entry))


def _onward(calls: Calls, entry: Entry) -> list[ET.Element]:
    """Return the target bucket's replication rules that can match the entry's objects."""
    rules = _ask(calls, bucket_of(entry, "target"), "replication", "target")
    found = rules.findall("Rule") if rules is not None else []
    return [rule for rule in found if _enabled(rule) and _touches(rule, entry.target.prefix)]


def _kept_onward(calls: Calls, entry: Entry) -> tuple[str, ...]:
    """Return a note for each replication rule that does not replicate delete markers, so that undo stays local.

    A rule with tags never replicates them, and another rule only when it is enabled. A rule of the first version of
    the configuration, which has no filter, does (S3 User Guide, "Replicating delete markers between buckets").
    """
    try:
        rules = _onward(calls, entry)
    except Refused:
        return ("no permission to see whether the target bucket replicates to other buckets",)
    return tuple(
        f"the target's replication rule {rule.findtext('ID') or 'without a name'} replicates new objects to"
        f" {rule.findtext('Destination/Bucket')}, but no delete markers: a rollback leaves the objects there"
        for rule in rules
        if rule.find("Filter") is not None and rule.findtext("DeleteMarkerReplication/Status") != "Enabled"
    )


def _ask(calls: Calls, bucket: Bucket, name: str, side: str) -> ET.Element | None:
    where = f"{bucket.region} s3://{bucket.name}"
    try:
        body = calls.configuration(bucket, name)
    except S3Error as error:
        if error.code == "NoSuchBucket":
            raise InputError(
                f"The {side} bucket {bucket.name} is not there.",
                where=where,
                remedy=f"look at the {side}'s name and region in carry.s3, or create the bucket",
                error_id="RS-CARRY-002",
            ) from error
        if error.status == 403:
            whose = f"account {bucket.account}" if bucket.account else "this environment's account"
            raise Refused(
                f"No permission to read {name} of the {side} bucket {bucket.name}, or it does not belong to {whose}.",
                where=where,
                remedy="Grant the migration's role read access to the bucket's configuration; if the bucket belongs to"
                f" another account, set {side}_account in this entry of carry.s3, then: regionshift up",
                error_id="RS-CARRY-006",
            ) from error
        if error.status in (301, 307, 400):
            raise InputError(
                f"The {side} bucket {bucket.name} is not in {bucket.region}.",
                where=where,
                remedy=f"name the {side} region in which the bucket is",
                error_id="RS-CARRY-002",
            ) from error
        raise
    return parse(body) if body else None


def _enabled(rule: ET.Element) -> bool:
    return rule.findtext("Status") == "Enabled"


def _touches(rule: ET.Element, prefix: str) -> bool:
    paths = ("Prefix", "Filter/Prefix", "Filter/And/Prefix")
    covered = next((text for path in paths if (text := rule.findtext(path))), "")
    return covered.startswith(prefix) or prefix.startswith(covered)


def _undo_until(lifecycle: ET.Element | None, prefix: str) -> str:
    days = [
        int(text)
        for rule in (lifecycle.findall("Rule") if lifecycle is not None else [])
        if _enabled(rule)
        and _touches(rule, prefix)
        and (text := rule.findtext("NoncurrentVersionExpiration/NoncurrentDays"))
    ]
    if not days:
        return "any time: no lifecycle rule removes old versions"
    return f"{min(days)} days after it was written: then a lifecycle rule removes old versions"


@dataclass(frozen=True)
class Possible:
    """Whether objects of a bucket can have ACLs and locks. ``unseen``: the questions without an answer."""

    acls: bool = False
    locks: bool = False
    unseen: tuple[str, ...] = ()


def possible(calls: Calls, bucket: Bucket) -> Possible:
    """Ask the bucket whether its objects can have ACLs and locks."""
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
    """Yield the items, with the properties that are not carried in ``left``."""
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
        return replace(told, left=(*told.left, f"not checked, after the first {MOST_ASKED:,}"))

    return _in_order(map(judge, items))


def without_hidden_metadata(
    calls: Calls, entry: Entry, items: Iterator[Item], pool: Executor, in_parts: Callable[[int], bool]
) -> Iterator[Item]:
    """Yield the items; as a conflict where one is copied in parts and would lose hidden metadata.

    Args:
        in_parts: whether an object of this size in bytes is copied in parts.
    """
    bucket = bucket_of(entry, "source")

    def look(item: Item, versions: Sequence[SourceVersion]) -> Item:
        for version in versions:
            try:
                headers = calls.head(bucket, entry.source.prefix + item.key, version.id)
            except S3Error as error:
                if error.status in (403, 404):
                    return item  # copying will fail and name it
                raise
            if reason := hidden_metadata(headers):
                return replace(item, kind=ItemState.CONFLICT, versions=(), reason=reason, rewrites="")
        return item

    def judge(item: Item) -> Future[Item] | Item:
        if not in_parts(item.size):
            return item
        return pool.submit(look, item, [version for version in item.versions if in_parts(version.size)])

    return _in_order(map(judge, items))


def _in_order(judged: Iterator[Future[Item] | Item]) -> Iterator[Item]:
    """Yield the results in order, with some requests ahead of the reader."""
    running: deque[Future[Item] | Item] = deque()
    for each in judged:
        if not running and isinstance(each, Item):
            yield each
            continue
        running.append(each)
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
        elif error.status != 404:  # when it was deleted, copying will fail and name it
            raise


def _grants(body: bytes) -> Iterator[str]:
    """Yield a remark when an ACL has grants for others than the owner."""
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
