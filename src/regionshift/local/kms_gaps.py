"""Patches of the emulator's KMS: S3 uses the key of each object with the caller's rights. AWS's behaviour:

- A write needs ``kms:GenerateDataKey``, a read or a copy ``kms:Decrypt``, and an upload in parts both. HeadObject needs
  ``kms:Decrypt`` when it asks for the checksum (S3 API Reference, "HeadObject").
- A key that is missing, in another region, disabled or scheduled for deletion is refused with the codes that were
  recorded on AWS (``KMS.NotFoundException``, ``KMS.DisabledException``, ``KMS.KMSInvalidStateException``).
- Answers have the key's ARN, and say whether a bucket key was used.
- ``aws:kms`` without a key means ``alias/aws/s3``, which everybody in the account may use through S3 (KMS Developer
  Guide, "AWS managed keys"). It is created on first use.

Sources: Amazon S3 User Guide, "Using server-side encryption with AWS KMS keys" and "Reducing the cost of SSE-KMS with
Amazon S3 Bucket Keys"; KMS Developer Guide, "kms:ViaService", "kms:EncryptionContext:context-key".

Not checked: requests of the emulator's own services, which are not signed, and presigned requests.
``tests/component/test_kms_gaps.py`` fails when the emulator no longer needs a patch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple
from urllib.parse import unquote

from regionshift.carriers.transport import COPY_SOURCE
from regionshift.settings.regions import service_host

ALGORITHM = "x-amz-server-side-encryption"
KMS_KEY = "x-amz-server-side-encryption-aws-kms-key-id"
BUCKET_KEY = "x-amz-server-side-encryption-bucket-key-enabled"
KMS = "aws:kms"
_CHECKSUM_MODE = "x-amz-checksum-mode"
_OF_S3 = "alias/aws/s3"
_IS_ID = re.compile(r"mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STATES = {
    "Disabled": ("KMS.DisabledException", "is disabled"),
    "PendingDeletion": ("KMS.KMSInvalidStateException", "is pending deletion"),
}

Headers = Mapping[str, str]
Refusal = tuple[int, dict[str, str], bytes]


class AskedOfS3(NamedTuple):
    """The present request: its method and its object."""

    method: str
    bucket: str
    key: str


NOTHING = AskedOfS3("", "", "")
_asked: ContextVar[AskedOfS3] = ContextVar("the request")


def close() -> None:
    """Patch the running ministack."""
    from ministack.services import kms, s3  # type: ignore[import-untyped]

    keys = KeysOfObjects(s3, kms)
    kms.key_policy_for_arn = keys.policy
    kms._key_metadata = telling_manager(kms._key_metadata)
    s3._SSE_STORED_HEADERS = (*s3._SSE_STORED_HEADERS, BUCKET_KEY)
    s3._dispatch = noting_request(s3._dispatch)
    s3._resolve_sse_write_headers = keys.writing(s3._resolve_sse_write_headers)
    s3._check_sse_read_headers = keys.reading(s3._check_sse_read_headers)
    s3._check_sse_c_copy_source = keys.copying(s3._check_sse_c_copy_source)
    s3._check_sse_c_part = keys.uploading(s3._check_sse_c_part)


def is_kms(obj: Mapping[str, Any]) -> bool:
    """Whether the object is encrypted with a KMS key."""
    return str(obj.get("preserved_headers", {}).get(ALGORITHM, "")).startswith(KMS)


def key_conditions(
    kms: Any, service: str, arn: str, caller: str, encrypted: Mapping[str, str]
) -> dict[str, Any]:
    """Return the condition keys for the use of the key ``arn`` by ``service`` for a caller.

    Args:
        kms: the emulator's module.
        caller: the caller's account.
        encrypted: the service's encryption context.
    """
    _, _, _, region, owner, resource = arn.split(":", 5)
    return {
        "kms:ViaService": service_host(service, region),
        "kms:CallerAccount": caller,
        "kms:ResourceAliases": [
            alias.split(":", 5)[5]
            for (account, place, alias), key in kms._aliases._data.items()
            if (account, place, f"key/{key}") == (owner, region, resource)
        ],
        "kms:EncryptionContextKeys": list(encrypted),
        **{f"kms:EncryptionContext:{name}": value for name, value in encrypted.items()},
    }


def noting_request(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the answer to a request of S3: keep the request in a context variable."""

    def answer(method: str, bucket: str, key: str, *more: Any) -> Any:
        before = _asked.set(AskedOfS3(method, bucket, key))
        try:
            return original(method, bucket, key, *more)
        finally:
            _asked.reset(before)

    return answer


def telling_manager(original: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """Wrap DescribeKey: show that AWS manages its own keys."""

    def describe(key: Mapping[str, Any]) -> dict[str, Any]:
        found = original(key)
        return found | {"KeyManager": "AWS"} if key.get("_regionshift_of_aws") else found

    return describe


class KeysOfObjects:
    """The KMS keys of objects, with the emulator's modules ``s3`` and ``kms``."""

    def __init__(self, s3: Any, kms: Any) -> None:
        self._s3, self._kms = s3, kms

    def policy(self, arn: str) -> tuple[str, str] | None:
        """Return the policy and account of a key in any region. The emulator finds only those of the request's."""
        key = self._key(arn)
        return None if key is None else (key.get("Policy") or "", arn.split(":")[4])

    def writing(self, original: Callable[[Headers, str], Any]) -> Callable[[Headers, str], Any]:
        """Wrap the choice of a write's encryption: the caller must have the right to use the key."""

        def resolve(headers: Headers, bucket: str) -> Any:
            if headers.get(ALGORITHM) == KMS and not headers.get(KMS_KEY):
                headers = {**headers, KMS_KEY: _OF_S3}
            found, problem = original(headers, bucket)
            if problem is not None or found.get(ALGORITHM) != KMS:
                return found, problem
            arn, problem = self._arn(found.get(KMS_KEY, _OF_S3), bucket)
            if problem is None:
                found = {**found, KMS_KEY: arn}
                if self._has_bucket_key(headers, bucket):
                    found[BUCKET_KEY] = "true"
                asked = _asked.get(NOTHING)
                problem = self._refusal(headers, found, (bucket, asked.key), "kms:GenerateDataKey")
            return (None, problem) if problem is not None else (found, None)

        return resolve

    def reading(self, original: Callable[[Headers, Any], Any]) -> Callable[[Headers, Any], Any]:
        """Wrap the check of a GET or HEAD: the caller must have the right to decrypt."""

        def admit(headers: Headers, obj: Any) -> Any:
            asked = _asked.get(NOTHING)
            problem = original(headers, obj)
            if problem is not None or (asked.method == "HEAD" and _CHECKSUM_MODE not in headers):
                return problem
            return self._refusal(
                headers, obj.get("preserved_headers", {}), (asked.bucket, asked.key), "kms:Decrypt"
            )

        return admit

    def copying(self, original: Callable[[Headers, Any], Any]) -> Callable[[Headers, Any], Any]:
        """Wrap the check of a copy: the caller must have the right to decrypt the source."""

        def admit(headers: Headers, obj: Any) -> Any:
            bucket, _, key = (
                unquote(headers.get(COPY_SOURCE, "").partition("?")[0]).lstrip("/").partition("/")
            )
            problem = original(headers, obj)
            if problem is not None:
                return problem
            return self._refusal(headers, obj.get("preserved_headers", {}), (bucket, key), "kms:Decrypt")

        return admit

    def uploading(self, original: Callable[[Headers, Any], Any]) -> Callable[[Headers, Any], Any]:
        """Wrap the check of an upload's part or completion: the caller must have both rights."""

        def admit(headers: Headers, upload: Any) -> Any:
            problem = original(headers, upload)
            if problem is not None:
                return problem
            spot = (upload["bucket"], upload["key"])
            return self._refusal(
                headers, upload["preserved_headers"], spot, "kms:Decrypt", "kms:GenerateDataKey"
            )

        return admit

    def context(self, stored: Headers, spot: tuple[str, str], caller: str) -> dict[str, Any]:
        """Return the condition keys for the KMS key of the object at ``spot`` (bucket, key).

        Args:
            stored: the object's headers, which name the KMS key.
            caller: the caller's account.
        """
        bucket = f"arn:aws:s3:::{spot[0]}"
        about = bucket if BUCKET_KEY in stored else f"{bucket}/{spot[1]}"
        return key_conditions(self._kms, "s3", stored[KMS_KEY], caller, {"aws:s3:arn": about})

    def _refusal(
        self, headers: Headers, stored: Headers, spot: tuple[str, str], *actions: str
    ) -> Refusal | None:
        """Return the refusal when the caller may not use the key in ``stored``, else None."""
        from ministack.core.iam_actions import identity_denial_message  # type: ignore[import-untyped]
        from ministack.core.iam_evaluator import AuthError, enforce  # type: ignore[import-untyped]
        from ministack.core.router import extract_access_key_id  # type: ignore[import-untyped]

        if stored.get(ALGORITHM) != KMS:
            return None
        arn = stored[KMS_KEY]
        key = self._key(arn)
        if key is None:
            return self._error("KMS.NotFoundException", f"Key '{arn}' does not exist")
        if key["KeyState"] in _STATES:
            code, what = _STATES[key["KeyState"]]
            return self._error(code, f"{arn} {what}.")
        caller = extract_access_key_id(headers)
        if not caller:
            return None
        conditions = self.context(stored, spot, self._s3.get_account_id())
        for action in actions:
            denied = enforce(caller, action, "kms", arn.split(":")[3], arn, conditions)
            if denied and not isinstance(denied, AuthError):
                told = identity_denial_message(action, denied.principal_arn, arn, denied.decision == "Deny")
                return self._error("AccessDenied", told, 403)
        return None

    def _arn(self, name: str, bucket: str) -> tuple[str, Refusal | None]:
        """Return the ARN of a key by its id, ARN or alias, for an object of ``bucket``."""
        region, account = self._s3.bucket_region(bucket), self._s3.get_account_id()
        if name.startswith("arn:"):
            _, _, _, place, account, name = name.split(":", 5)
            if place != region:
                return "", self._error("KMS.NotFoundException", f"Invalid arn {place}")
            name = name.removeprefix("key/")
        if name == _OF_S3:
            name = self._of_s3()
        elif name.startswith("alias/"):
            alias = f"arn:aws:kms:{region}:{account}:{name}"
            name = self._kms._aliases.get_scoped(account, region, alias, name)
        elif not _IS_ID.fullmatch(name):
            return "", self._error("KMS.NotFoundException", f"Invalid keyId '{name}'")
        return f"arn:aws:kms:{region}:{account}:key/{name}", None

    def _of_s3(self) -> str:
        """Return the id of the AWS managed key for S3 in this region; create it on first use."""
        alias = self._kms._alias_arn(_OF_S3)
        if alias not in self._kms._aliases:
            made = self._kms._create_key(
                {"Description": "Default key that protects my S3 objects when no other key is defined"}
            )
            key = json.loads(made[2])["KeyMetadata"]["KeyId"]
            everybody = {
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [
                    "kms:Encrypt",
                    "kms:Decrypt",
                    "kms:ReEncrypt*",
                    "kms:GenerateDataKey*",
                    "kms:DescribeKey",
                ],
                "Resource": "*",
                "Condition": {
                    "StringEquals": {
                        "kms:CallerAccount": self._s3.get_account_id(),
                        "kms:ViaService": service_host("s3", alias.split(":")[3]),
                    }
                },
            }
            seen = {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{self._s3.get_account_id()}:root"},
                "Action": ["kms:Describe*", "kms:Get*", "kms:List*"],
                "Resource": "*",
            }
            policy = json.dumps({"Version": "2012-10-17", "Statement": [everybody, seen]})
            self._kms._keys[key].update(Policy=policy, _regionshift_of_aws=True)
            self._kms._aliases[alias] = key
        return str(self._kms._aliases[alias])

    def _key(self, arn: str) -> Any:
        parts = arn.split(":", 5)
        if len(parts) < 6 or not parts[5].startswith("key/"):
            return None
        return self._kms._keys.get_scoped(parts[4], parts[3], parts[5].removeprefix("key/"))

    def _has_bucket_key(self, headers: Headers, bucket: str) -> bool:
        asked = headers.get(BUCKET_KEY)
        if asked is not None:
            return asked.lower() == "true"
        default = self._s3._bucket_encryption.get(bucket) or b""
        text = default.decode() if isinstance(default, bytes) else str(default)
        return "<BucketKeyEnabled>true<" in text

    def _error(self, code: str, message: str, status: int = 400) -> Refusal:
        refusal: Refusal = self._s3._error(code, message, status)
        return refusal
