"""Patches of the replication of the emulator's S3. AWS's behaviour:

- Each destination gets the object or the delete marker, by its rule of highest priority. The emulator stops after the
  first matching rule.
- An object with KMS encryption is replicated only by a rule with ``SseKmsEncryptedObjects``, and the replica is
  encrypted with that rule's key. The emulator always replicates, with the source's key.
- A replica has the version id of its source, and gets changes of the source's tags.
- The configuration's role must have the rights to read the source, to write the replica and to use both keys ("Setting
  up permissions for live replication", "Replicating encrypted objects"). Otherwise the replication fails. The emulator
  checks no role.

Source: S3 User Guide, "What does Amazon S3 replicate?" and "Replication configuration file elements".

The emulator's own code still writes each replica, once for each rule. A replica is never replicated again.
``tests/component/test_replication_gaps.py`` fails when the emulator no longer needs a patch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any

from regionshift.local.kms_gaps import BUCKET_KEY, KMS_KEY, KeysOfObjects, is_kms
from regionshift.local.s3_gaps import Answer, Handler, Record, tags_of_upload

Rule = Mapping[str, Any]

# In an object's record, until its version is recorded: the version id of source and replicas.
SHARED_VERSION = "_regionshift_version"


def close() -> None:
    """Patch the running ministack, after the patches of its S3."""
    from ministack.services import kms, s3  # type: ignore[import-untyped]

    EmulatedReplication(s3, KeysOfObjects(s3, kms)).install()


class EmulatedReplication:
    """Replication to all destinations, with the emulator's module ``s3``."""

    def __init__(self, s3: Any, keys: KeysOfObjects) -> None:
        self._s3 = s3
        self._keys = keys
        self._copy_once: FunctionType = s3._maybe_replicate
        self._mark_once: FunctionType = s3._maybe_replicate_delete_marker
        self._record: Callable[..., str | None] = s3._record_object_version

    def install(self) -> None:
        """Replace the module's functions."""
        self._s3._maybe_replicate = self.copy
        self._s3._maybe_replicate_delete_marker = self.mark
        self._s3._record_object_version = self.record
        self._s3._put_object_tagging = self.with_tags_following(self._s3._put_object_tagging)
        self._s3._delete_object_tagging = self.with_tags_following(self._s3._delete_object_tagging)

    def copy(
        self, bucket: str, key: str, obj: Record, data: bytes, tags: Mapping[str, str] | None = None
    ) -> None:
        """Write a replica of ``obj`` to each destination. The status is FAILED when one failed."""
        tags = tags or tags_of_upload() or {}
        rules = by_destination(
            rule
            for rule in self._enabled_rules(bucket, key)
            if self._has_tags(rule, tags) and (not is_kms(obj) or admits_kms(rule))
        )
        if not rules:
            return
        obj.setdefault(SHARED_VERSION, self._s3.new_uuid())
        statuses = [self._copy_by(rule, bucket, key, obj, data, tags) for rule in rules]
        obj["replication_status"] = "FAILED" if "FAILED" in statuses else "COMPLETED"

    def mark(self, bucket: str, key: str) -> None:
        """Write the delete marker to each destination whose rule replicates delete markers."""
        untagged = (
            rule for rule in self._enabled_rules(bucket, key) if not self._s3._replication_rule_tags(rule)
        )
        for rule in by_destination(untagged):
            if not self._may(bucket, "s3:ReplicateDelete", f"{destination_of(rule)}/{key}"):
                continue
            only = {bucket: {**self._s3._bucket_replication[bucket], "Rules": [rule]}}
            self._with(self._mark_once, _bucket_replication=only)(bucket, key)

    def record(self, bucket: str, key: str, prior: Record | None, obj: Record, data: bytes) -> str | None:
        """Record a version of ``obj``, with the id of its replicas if there are any."""
        shared: str | None = obj.pop(SHARED_VERSION, None)
        made = self._record(bucket, key, prior, obj, data)
        if shared is None or made is None:
            return made
        obj["version_id"] = shared
        self._s3._object_versions[(bucket, key)][-1]["version_id"] = shared
        return shared

    def with_tags_following(self, original: Handler) -> Handler:
        """Wrap a change of an object's tags: apply it to the replicas too."""

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
        self, rule: Rule, bucket: str, key: str, obj: Record, data: bytes, tags: Mapping[str, str]
    ) -> str:
        if not self._may_copy(rule, bucket, key, obj, tags):
            return "FAILED"
        role = self._role(bucket)
        once = self._with(self._copy_once, _replication_rule_for=lambda *_: (rule, role))
        once(bucket, key, obj, data, tags)
        status: str = obj["replication_status"]
        if status == "COMPLETED":
            name, version, account = obj["_replica"]
            with self._s3._in_account(account):
                self._encrypt(rule, self._s3._buckets[name]["objects"][key])
            # The caller would set the tags only on the last replica.
            self._set_tags((name, account), key, version, tags)
        return status

    def _encrypt(self, rule: Rule, replica: Record) -> None:
        if is_kms(replica) and (key := replica_key(rule)):
            # The version's entry has the same dict of headers.
            replica["preserved_headers"][KMS_KEY] = key

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
        found = self._s3._replication_destination(bucket, key, rule, self._role(bucket))
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

    def _may_copy(self, rule: Rule, bucket: str, key: str, obj: Record, tags: Mapping[str, str]) -> bool:
        """Whether the role may read the source, write the replica, and use both keys."""
        target = destination_of(rule)
        asked = [
            ("s3:GetObjectVersionForReplication", f"arn:aws:s3:::{bucket}/{key}"),
            ("s3:ReplicateObject", f"{target}/{key}"),
        ]
        if tags:
            asked.append(("s3:ReplicateTags", f"{target}/{key}"))
        if not all(self._may(bucket, action, resource) for action, resource in asked):
            return False
        if not is_kms(obj):
            return True
        stored = obj["preserved_headers"]
        replica = {**stored, KMS_KEY: replica_key(rule) or stored[KMS_KEY]}
        writing = (
            ("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey")
            if BUCKET_KEY in stored
            else ("kms:Encrypt",)
        )
        caller = self._role(bucket).split(":")[4]
        ends = [(stored, bucket, "kms:Decrypt")]
        ends += [(replica, target.rpartition(":")[2], action) for action in writing]
        return all(
            self._may(bucket, action, headers[KMS_KEY], self._keys.context(headers, (place, key), caller))
            for headers, place, action in ends
        )

    def _role(self, bucket: str) -> str:
        return str((self._s3._bucket_replication.get(bucket) or {}).get("Role", ""))

    def _may(self, bucket: str, action: str, resource: str, context: Mapping[str, Any] | None = None) -> bool:
        """Whether the bucket's replication role may do it, by its policies and, for a key, by the key's policy."""
        from ministack.core import iam_evaluator  # type: ignore[import-untyped]

        role = self._role(bucket)
        if not role:
            return False
        account, name = role.split(":")[4], role.rpartition("/")[2]
        session = f"arn:aws:sts::{account}:assumed-role/{name}/s3-replication"
        seen = {key.lower(): value for key, value in (context or {}).items()}
        region = resource.split(":")[3] or self._s3.bucket_region(bucket)
        asked = iam_evaluator.EvalContext(
            session, "AssumedRole", account, action, resource, region, service_context=seen
        )
        found = iam_evaluator.evaluate(asked, iam_evaluator._gather_role_policies(name, account))
        if context is not None:
            policy = self._keys.policy(resource)
            if policy is None:
                return False
            found = iam_evaluator.combine_resource_policy(found, asked, *policy, required=True)
        return bool(found.decision == "Allow")

    def _has_tags(self, rule: Rule, tags: Mapping[str, str]) -> bool:
        wanted: Mapping[str, str] = self._s3._replication_rule_tags(rule)
        return wanted.items() <= tags.items()

    def _with(self, original: FunctionType, **replaced: Any) -> FunctionType:
        """Return ``original`` with names of its module replaced only for this call: requests run in parallel."""
        return FunctionType(original.__code__, {**vars(self._s3), **replaced})


def by_destination(rules: Iterable[Rule]) -> list[Rule]:
    """Return the rule of highest priority for each destination bucket, highest first."""
    chosen: dict[str, Rule] = {}
    for rule in sorted(rules, key=lambda rule: int(rule.get("Priority") or 0), reverse=True):
        chosen.setdefault(destination_of(rule), rule)
    return list(chosen.values())


def destination_of(rule: Rule) -> str:
    """Return the ARN of the rule's destination bucket."""
    return str((rule.get("Destination") or {}).get("Bucket", ""))


def replica_key(rule: Rule) -> str:
    """Return the KMS key for replicas; empty when the rule names none."""
    encryption = (rule.get("Destination") or {}).get("EncryptionConfiguration") or {}
    return str(encryption.get("ReplicaKmsKeyID") or "")


def admits_kms(rule: Rule) -> bool:
    """Whether the rule replicates objects with KMS encryption."""
    criteria = rule.get("SourceSelectionCriteria") or {}
    return bool((criteria.get("SseKmsEncryptedObjects") or {}).get("Status") == "Enabled")
