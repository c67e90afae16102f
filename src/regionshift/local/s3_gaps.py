"""Gaps of the emulator's S3, closed inside its process: replication, whose a bucket is, listings.

What AWS does (S3 User Guide, "What does Amazon S3 replicate?" and "Replication configuration file elements"),
and the emulator does not:

- every destination gets the object or the delete marker, by its own rule of highest priority; the emulator
  stops after the first rule that matches;
- an object encrypted with KMS is replicated only by a rule that says so (``SseKmsEncryptedObjects``), and
  the replica is encrypted with that rule's key; the emulator always replicates and keeps the source's key;
- a replica has the version id of its source, and follows when the source's tags change;
- a role that is denied to replicate (IAM, explicit deny) replicates nothing; the emulator asks no role.

Each replica is still written by the emulator's own code, once a rule. A replica is never replicated on.

- A request that names the account its bucket must belong to is refused when it belongs to another; so is a copy that
  names the account of the bucket it copies from (S3 User Guide, "Verifying bucket ownership with bucket owner
  condition"). The emulator reads neither header.
- ``aws:ResourceAccount`` of a bucket is the account that owns it (IAM User Guide, "AWS global condition context
  keys"). The emulator takes the caller's, as a bucket's ARN names none.
- ``aws:PrincipalArn`` of a session is its role (the same page). The emulator takes the session.
- Listings name keys URL-encoded when they are asked to. The emulator encodes in ListObjects only: a key with a control
  character then makes an answer that is no XML, so that nothing in the bucket can be listed (Amazon S3 API Reference,
  ListObjectVersions and ListMultipartUploads, ``encoding-type``).

``tests/component/test_replication_gaps.py`` and ``test_ownership_gaps.py`` tell when the emulator no longer needs this;
``tests/component/operations/test_emptying.py`` empties a bucket with such a key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from types import FunctionType, ModuleType
from typing import Any
from urllib.parse import quote, unquote
from xml.etree.ElementTree import Element, SubElement

from regionshift.carriers.transport import COPY_SOURCE, EXPECTED, EXPECTED_OF_SOURCE

Rule = Mapping[str, Any]
Record = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]

# In an object's record, until its version is recorded: the id that source and replicas share.
SHARED_VERSION = "_regionshift_version"
ALGORITHM = "x-amz-server-side-encryption"
KMS_KEY = "x-amz-server-side-encryption-aws-kms-key-id"


def close() -> None:
    """Put the repairs into the running ministack."""
    from ministack.core import iam_evaluator  # type: ignore[import-untyped]
    from ministack.services import s3  # type: ignore[import-untyped]

    EmulatedReplication(s3).install()
    s3._apply_bucket_scope = with_owners(s3._apply_bucket_scope, s3._bucket_owner_account, s3._error)
    iam_evaluator._resolve_condition_key = with_account_of_buckets(
        with_roles_of_sessions(iam_evaluator._resolve_condition_key, _role), s3._bucket_owner_account
    )
    s3._list_object_versions = noting_encoding(s3._list_object_versions, s3._qp)
    s3._list_multipart_uploads = noting_encoding(s3._list_multipart_uploads, s3._qp)
    s3._xml_body = encoding_keys(s3._xml_body)


class EmulatedReplication:
    """Replication of the emulator's S3 module ``s3``, to every destination."""

    def __init__(self, s3: ModuleType) -> None:
        self._s3: Any = s3
        self._copy_once: FunctionType = s3._maybe_replicate
        self._mark_once: FunctionType = s3._maybe_replicate_delete_marker
        self._record: Callable[..., str | None] = s3._record_object_version

    def install(self) -> None:
        """Replaces the module's functions; its callers look them up by name."""
        self._s3._maybe_replicate = self.copy
        self._s3._maybe_replicate_delete_marker = self.mark
        self._s3._record_object_version = self.record
        self._s3._put_object_tagging = self.with_tags_following(self._s3._put_object_tagging)
        self._s3._delete_object_tagging = self.with_tags_following(self._s3._delete_object_tagging)

    def copy(
        self, bucket: str, key: str, obj: Record, data: bytes, tags: Mapping[str, str] | None = None
    ) -> None:
        """Writes a replica of ``obj`` to each destination; the source failed when one of them did."""
        rules = by_destination(
            rule
            for rule in self._enabled_rules(bucket, key)
            if self._has_tags(rule, tags or {}) and (not is_kms(obj) or admits_kms(rule))
        )
        if not rules:
            return
        if self._is_denied(bucket, "s3:ReplicateObject"):
            obj["replication_status"] = "FAILED"
            return
        obj.setdefault(SHARED_VERSION, self._s3.new_uuid())
        statuses = [self._copy_by(rule, bucket, key, obj, data, tags) for rule in rules]
        obj["replication_status"] = "FAILED" if "FAILED" in statuses else "COMPLETED"

    def mark(self, bucket: str, key: str) -> None:
        """Puts the delete marker into each destination whose rule replicates delete markers."""
        if self._is_denied(bucket, "s3:ReplicateDelete"):
            return
        untagged = (
            rule for rule in self._enabled_rules(bucket, key) if not self._s3._replication_rule_tags(rule)
        )
        for rule in by_destination(untagged):
            only = {bucket: {**self._s3._bucket_replication[bucket], "Rules": [rule]}}
            self._with(self._mark_once, _bucket_replication=only)(bucket, key)

    def record(self, bucket: str, key: str, prior: Record | None, obj: Record, data: bytes) -> str | None:
        """Records a version of ``obj``, under the id it shares with its replicas when it has any."""
        shared: str | None = obj.pop(SHARED_VERSION, None)
        made = self._record(bucket, key, prior, obj, data)
        if shared is None or made is None:
            return made
        obj["version_id"] = shared
        self._s3._object_versions[(bucket, key)][-1]["version_id"] = shared
        return shared

    def with_tags_following(self, original: Callable[..., Answer]) -> Callable[..., Answer]:
        """``original``, which changes an object's tags, and then the same for its replicas."""

        def change(bucket: str, key: str, *rest: Any) -> Answer:
            answer = original(bucket, key, *rest)
            version = answer[1].get("x-amz-version-id")
            if answer[0] < 300 and version:
                tags = self._s3._object_tags.get((bucket, key, version))
                for rule in by_destination(self._enabled_rules(bucket, key)):
                    if target := self._target(rule, bucket, key):
                        self._set_tags(target, key, version, tags)
            return answer

        return change

    def _copy_by(
        self,
        rule: Rule,
        bucket: str,
        key: str,
        obj: Record,
        data: bytes,
        tags: Mapping[str, str] | None,
    ) -> str:
        role = self._s3._bucket_replication[bucket].get("Role", "")
        once = self._with(self._copy_once, _replication_rule_for=lambda *_: (rule, role))
        once(bucket, key, obj, data, tags)
        status: str = obj["replication_status"]
        if status == "COMPLETED":
            name, version, account = obj["_replica"]
            with self._s3._in_account(account):
                self._encrypt(rule, self._s3._buckets[name]["objects"][key])
            # The caller tags the replica that was written last; here each gets them.
            self._set_tags((name, account), key, version, tags)
        return status

    def _encrypt(self, rule: Rule, replica: Record) -> None:
        encryption = (rule.get("Destination") or {}).get("EncryptionConfiguration") or {}
        if is_kms(replica) and encryption.get("ReplicaKmsKeyID"):
            # The version's entry refers to the same headers.
            replica["preserved_headers"][KMS_KEY] = encryption["ReplicaKmsKeyID"]

    def _set_tags(
        self, target: tuple[str, str], key: str, version: str, tags: Mapping[str, str] | None
    ) -> None:
        name, account = target
        with self._s3._in_account(account):
            entries = self._s3._object_versions.get((name, key)) or []
            if not any(entry["version_id"] == version for entry in entries):
                return
            if tags is None:
                self._s3._object_tags.pop((name, key, version), None)
            else:
                self._s3._object_tags[(name, key, version)] = dict(tags)
            self._s3._persist_version_state(name, key, self._s3._buckets[name])

    def _target(self, rule: Rule, bucket: str, key: str) -> tuple[str, str] | None:
        role = self._s3._bucket_replication[bucket].get("Role", "")
        found = self._s3._replication_destination(bucket, key, rule, role)
        return None if found is None else (found[0], found[1])

    def _enabled_rules(self, bucket: str, key: str) -> list[Rule]:
        config = self._s3._bucket_replication.get(bucket)
        if not config or self._s3._bucket_versioning.get(bucket) != "Enabled":
            return []
        return [
            rule
            for rule in config.get("Rules", [])
            if rule.get("Status") == "Enabled" and key.startswith(self._s3._replication_rule_prefix(rule))
        ]

    def _is_denied(self, bucket: str, action: str) -> bool:
        """Whether a policy of the bucket's replication role denies ``action``."""
        from ministack.core import iam_evaluator

        role = str((self._s3._bucket_replication.get(bucket) or {}).get("Role", ""))
        if not role:
            return False
        account, name = role.split(":")[4], role.rpartition("/")[2]
        policies = iam_evaluator._gather_role_policies(name, account)
        asked = iam_evaluator.EvalContext(role, "AssumedRole", account, action, "*", "")
        return bool(iam_evaluator.evaluate(asked, policies).decision == "Deny")

    def _has_tags(self, rule: Rule, tags: Mapping[str, str]) -> bool:
        wanted: Mapping[str, str] = self._s3._replication_rule_tags(rule)
        return wanted.items() <= tags.items()

    def _with(self, original: FunctionType, **replaced: Any) -> FunctionType:
        """``original`` with some names of its module replaced for this call only: requests run in parallel."""
        return FunctionType(original.__code__, {**vars(self._s3), **replaced})


def by_destination(rules: Iterable[Rule]) -> list[Rule]:
    """For each destination bucket the one rule of highest priority, highest first."""
    chosen: dict[str, Rule] = {}
    for rule in sorted(rules, key=lambda rule: int(rule.get("Priority") or 0), reverse=True):
        chosen.setdefault(str((rule.get("Destination") or {}).get("Bucket", "")), rule)
    return list(chosen.values())


def is_kms(obj: Record) -> bool:
    """Whether the object is encrypted with a key of KMS."""
    return str(obj.get("preserved_headers", {}).get(ALGORITHM, "")).startswith("aws:kms")


def admits_kms(rule: Rule) -> bool:
    """Whether the rule replicates objects encrypted with KMS."""
    criteria = rule.get("SourceSelectionCriteria") or {}
    return bool((criteria.get("SseKmsEncryptedObjects") or {}).get("Status") == "Enabled")


Owner = Callable[[str], str | None]
"""The account that owns a bucket; None where there is none."""

_SESSION = re.compile(r"arn:[^:]+:sts::(\d{12}):assumed-role/([^/]+)/.+")
_BUCKET_ARN = "arn:aws:s3:::"
_ACCOUNT_KEYS = ("aws:resourceaccount", "s3:resourceaccount")


def _role(account: str, name: str) -> str | None:
    from ministack.services import iam

    found = iam._roles.get_scoped(account, None, name)
    return str(found["Arn"]) if found else None


def with_roles_of_sessions(
    original: Callable[..., Any], role_of: Callable[[str, str], str | None]
) -> Callable[..., Any]:
    """``original``, which gives a condition key's value, with the role's ARN for the principal of a session.

    Args:
        role_of: the ARN of a role by account and name, which the session's ARN has without its path.
    """

    def resolve(key: str, context: Any) -> Any:
        found = original(key, context)
        session = _SESSION.fullmatch(str(found)) if key.lower() == "aws:principalarn" else None
        return (role_of(session[1], session[2]) or found) if session else found

    return resolve


def with_owners(
    original: Callable[..., Any], owner_of: Owner, refuse: Callable[..., Any]
) -> Callable[..., Any]:
    """``original``, which admits a request to its bucket, refusing a bucket of another account than expected."""

    def scope(method: str, bucket: str, key: str, headers: Mapping[str, str], *rest: Any, **more: Any) -> Any:
        if is_strangers(bucket, headers, owner_of):
            return refuse("AccessDenied", "Access Denied", 403, f"/{bucket}/{key}" if key else f"/{bucket}")
        return original(method, bucket, key, headers, *rest, **more)

    return scope


def is_strangers(bucket: str, headers: Mapping[str, str], owner_of: Owner) -> bool:
    """Whether a bucket of the request belongs to another account than its headers expect."""
    source = unquote(headers.get(COPY_SOURCE, "").partition("?")[0]).lstrip("/").partition("/")[0]
    expected = ((bucket, headers.get(EXPECTED)), (source, headers.get(EXPECTED_OF_SOURCE)))
    return any(
        account is not None and owner_of(name) not in (None, account) for name, account in expected if name
    )


def with_account_of_buckets(original: Callable[..., Any], owner_of: Owner) -> Callable[..., Any]:
    """``original``, which gives a condition key's value, with the owner's account for a bucket."""

    def resolve(key: str, context: Any) -> Any:
        arn = context.resource_arn or ""
        if key.lower() in _ACCOUNT_KEYS and arn.startswith(_BUCKET_ARN):
            owner = owner_of(arn.removeprefix(_BUCKET_ARN).partition("/")[0])
            if owner is not None:
                return owner
        return original(key, context)

    return resolve


_ENCODED = frozenset({"Key", "Prefix", "Delimiter", "KeyMarker", "NextKeyMarker"})
_asked: ContextVar[bool] = ContextVar("asked for URL-encoded keys", default=False)
Listing = Callable[[str, Mapping[str, Any]], Any]


def noting_encoding(original: Listing, parameter: Callable[..., str]) -> Listing:
    """``original``, which lists; its answer has URL-encoded keys when the request asks for them."""

    def listing(bucket: str, query: Mapping[str, Any]) -> Any:
        before = _asked.set(parameter(query, "encoding-type", "") == "url")
        try:
            return original(bucket, query)
        finally:
            _asked.reset(before)

    return listing


def encoding_keys(original: Callable[[Element], Any]) -> Callable[[Element], Any]:
    """``original``, which writes an answer as XML, with keys and prefixes URL-encoded when that was asked for."""

    def write(root: Element) -> Any:
        if _asked.get():
            for element in root.iter():
                if element.tag in _ENCODED and element.text:
                    element.text = quote(element.text, safe="/")
            SubElement(root, "EncodingType").text = "url"
        return original(root)

    return write
