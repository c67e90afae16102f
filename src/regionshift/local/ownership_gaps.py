"""Gaps of the emulator about whose a bucket is, closed inside its process.

- A request that names the account its bucket must belong to is refused when it belongs to another; so is a copy that
  names the account of the bucket it copies from (S3 User Guide, "Verifying bucket ownership with bucket owner
  condition"). The emulator reads neither header.
- ``aws:ResourceAccount`` of a bucket is the account that owns it (IAM User Guide, "AWS global condition context
  keys"). The emulator takes the caller's, as a bucket's ARN names none.
- ``aws:PrincipalArn`` of a session is its role (the same page). The emulator takes the session.

``tests/component/test_ownership_gaps.py`` tells when the emulator no longer needs it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from regionshift.carriers.transport import COPY_SOURCE, EXPECTED, EXPECTED_OF_SOURCE

Owner = Callable[[str], str | None]
"""The account that owns a bucket; None where there is none."""

_SESSION = re.compile(r"arn:[^:]+:sts::(\d{12}):assumed-role/([^/]+)/.+")
_BUCKET_ARN = "arn:aws:s3:::"
_ACCOUNT_KEYS = ("aws:resourceaccount", "s3:resourceaccount")


def close() -> None:
    """Put the repairs into the running ministack."""
    from ministack.core import iam_evaluator  # type: ignore[import-untyped]
    from ministack.services import s3  # type: ignore[import-untyped]

    s3._apply_bucket_scope = with_owners(s3._apply_bucket_scope, s3._bucket_owner_account, s3._error)
    iam_evaluator._resolve_condition_key = with_account_of_buckets(
        with_roles_of_sessions(iam_evaluator._resolve_condition_key, _role), s3._bucket_owner_account
    )


def _role(account: str, name: str) -> str | None:
    from ministack.services import iam

    found = iam._roles.get_scoped(account, None, name)
    return str(found["Arn"]) if found else None


def with_roles_of_sessions(
    original: Callable[..., Any], role_of: Callable[[str, str], str | None]
) -> Callable[..., Any]:
    """``original``, which gives a condition key its value, but the principal of a session is its role.

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
    """``original``, which lets a request to its bucket, but a bucket of another account than expected is refused."""

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
    """``original``, which gives a condition key its value, but a bucket's account is its owner's."""

    def resolve(key: str, context: Any) -> Any:
        arn = context.resource_arn or ""
        if key.lower() in _ACCOUNT_KEYS and arn.startswith(_BUCKET_ARN):
            owner = owner_of(arn.removeprefix(_BUCKET_ARN).partition("/")[0])
            if owner is not None:
                return owner
        return original(key, context)

    return resolve
