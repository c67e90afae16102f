"""What must hold of both buckets before the first write, and until when a migration can be taken back."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor

from regionshift.carriers.carrier import Entry, Limits
from regionshift.carriers.keys import Keys
from regionshift.carriers.s3.calls import Bucket, Calls
from regionshift.carriers.s3.copying import bucket_of
from regionshift.carriers.s3.pages import parse
from regionshift.carriers.transport import S3Error
from regionshift.errors import InputError, Refused

_DEFAULT_KEY = "Rule/ApplyServerSideEncryptionByDefault/KMSMasterKeyID"


def check(calls: Calls, entry: Entry, keys: Keys | None = None) -> Limits:
    """Both buckets are there, ours to use and keep versions; the target can be written and taken back.

    Args:
        keys: judges the key that the target bucket encrypts with; none: it is not asked about.

    Raises:
        InputError: a bucket is missing, in another region or not versioned.
        Refused: no permission, or the target is under Object Lock or encrypts with a key that is not ours.
    """
    questions = (
        ("source", "versioning"),
        ("target", "versioning"),
        ("target", "object-lock"),
        ("target", "lifecycle"),
    )
    with ThreadPoolExecutor(len(questions), thread_name_prefix="check") as pool:
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
        )
    if keys is not None:
        keys.require()
        if not entry.kms_key:
            _require_usable_key(calls, entry, keys)
    return Limits(_undo_until(asked[3].result(), entry.target.prefix))


def check_source(calls: Calls, entry: Entry) -> None:
    """The source alone, for a target that is not made yet. Raises as `check`."""
    bucket = bucket_of(entry, "source")
    _require_versions(bucket, _ask(calls, bucket, "versioning", "source"), "source")


def _require_versions(bucket: Bucket, status: ET.Element | None, side: str) -> None:
    if status is None or status.findtext("Status") != "Enabled":
        raise InputError(
            f"The {side} bucket {bucket.name} does not keep versions.",
            where=f"{bucket.region} s3://{bucket.name}",
            remedy=f"Enable versioning: aws s3api put-bucket-versioning --bucket {bucket.name} "
            f"--region {bucket.region} --versioning-configuration Status=Enabled",
        )


def _require_usable_key(calls: Calls, entry: Entry, keys: Keys) -> None:
    """What is written without naming a key goes under the bucket's own.

    Raises:
        Refused: the migration has no rights for that one, so that every copy would fail.
    """
    target = bucket_of(entry, "target")
    found = _ask(calls, target, "encryption", "target")
    name = found.findtext(_DEFAULT_KEY) if found is not None else None
    if stranger := keys.stranger(name):
        raise Refused(
            f"The target bucket {target.name} encrypts with {stranger}.",
            where=f"{target.region} s3://{target.name}",
            remedy=f"Set kms_key: {name} in this entry of carry.s3, then: regionshift up",
        )


def propagates(calls: Calls, entry: Entry) -> bool:
    """Whether the target bucket replicates any part of the entry onward."""
    rules = _ask(calls, bucket_of(entry, "target"), "replication", "target")
    if rules is None:
        return False
    return any(_touches(rule, entry.target.prefix) for rule in rules.findall("Rule") if _enabled(rule))


def _ask(calls: Calls, bucket: Bucket, name: str, side: str) -> ET.Element | None:
    where = f"{bucket.region} s3://{bucket.name}"
    try:
        body = calls.configuration(bucket, name)
    except S3Error as error:
        if error.code == "NoSuchBucket":
            raise InputError(
                f"The {side} bucket {bucket.name} is not there.",
                where=where,
                remedy=f"look at the {side}'s name and region in carry.s3, or make the bucket",
            ) from error
        if error.status == 403:
            whose = f"account {bucket.account}" if bucket.account else "this environment's account"
            raise Refused(
                f"No permission to read {name} of the {side} bucket {bucket.name}, or it does not belong to {whose}.",
                where=where,
                remedy="Grant the migration's role read access to the bucket's configuration; if the bucket is meant"
                f" to be another account's, say whose: {side}_account in this entry of carry.s3, then: regionshift up",
            ) from error
        if error.status in (301, 307, 400):
            raise InputError(
                f"The {side} bucket {bucket.name} is not in {bucket.region}.",
                where=where,
                remedy=f"name the {side} region in which it is",
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
    return f"{min(days)} days after it was written: then old versions are removed by a lifecycle rule"
