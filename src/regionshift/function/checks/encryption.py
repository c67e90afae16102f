"""``encryption``: new objects are encrypted with the region's key, which is enabled and rotates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regionshift.function.checks.subject import CheckAnswer, Subject, ask

# S3 API Reference, ServerSideEncryptionByDefault, SSEAlgorithm
_WITH_KMS = ("aws:kms", "aws:kms:dsse")


def check_encryption(subject: Subject) -> Sequence[CheckAnswer]:
    """The bucket's default, then the key: the one we were told, else the one that the bucket names."""
    bucket, s3 = subject.variables.deployment_bucket, subject.clients.s3
    named: list[str] = []

    def judge(reply: Mapping[str, Any]) -> tuple[bool, str]:
        rules = reply["ServerSideEncryptionConfiguration"]["Rules"]
        default = rules[0] if rules else {}
        how = default.get("ApplyServerSideEncryptionByDefault", {})
        named.extend(key for key in [how.get("KMSMasterKeyID")] if key)
        return _is_right(default, how, subject.variables.key_arn)

    default = ask(
        f"s3:GetBucketEncryption {bucket}: KMS with the region's key, bucket key on",
        lambda: s3.get_bucket_encryption(Bucket=bucket),
        judge,
    )
    key = subject.variables.key_arn or next(iter(named), "")
    if not key:
        return (default, CheckAnswer("kms: the key is enabled and rotates", "no key is known", False))
    return (default, *_key(subject, key))


def _is_right(default: Mapping[str, Any], how: Mapping[str, Any], key_arn: str) -> tuple[bool, str]:
    algorithm, key = how.get("SSEAlgorithm", "none"), how.get("KMSMasterKeyID", "no key of ours")
    bucket_key = default.get("BucketKeyEnabled") is True
    ours = key in (key_arn, key_arn.rpartition("/")[2]) if key_arn else bool(how.get("KMSMasterKeyID"))
    answer = f"{algorithm} with {key}, bucket key {'on' if bucket_key else 'off'}"
    return algorithm in _WITH_KMS and ours and bucket_key, answer


def _key(subject: Subject, key: str) -> Sequence[CheckAnswer]:
    kms = subject.clients.kms
    return (
        ask(f"kms:DescribeKey {key}: Enabled", lambda: kms.describe_key(KeyId=key), _is_enabled),
        ask(
            f"kms:GetKeyRotationStatus {key}: on",
            lambda: kms.get_key_rotation_status(KeyId=key),
            lambda reply: (reply["KeyRotationEnabled"], "on" if reply["KeyRotationEnabled"] else "off"),
        ),
    )


def _is_enabled(reply: Mapping[str, Any]) -> tuple[bool, str]:
    state = reply["KeyMetadata"].get("KeyState", "unknown")
    return state == "Enabled", state
