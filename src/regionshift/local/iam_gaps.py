"""Gaps of how the emulator asks policies, closed inside its process.

- A request is about the whole key of its object, as "/", "a//b" and "a/" are three keys (Amazon S3 User Guide, "Naming
  Amazon S3 objects"). The emulator leaves out slashes at either end and one beside another, so that what is allowed
  for ``data/*`` is refused for ``data/``, the folder that S3's console makes.
- ``*`` stands for any characters (IAM User Guide, "IAM JSON policy elements: Resource"). The emulator's stands for
  none that ends a line, which a key may have.
- ``aws:PrincipalArn`` of a session is its role (IAM User Guide, "AWS global condition context keys"). The emulator
  takes the session.
- ``aws:ResourceAccount`` of a bucket is the account that owns it (the same page). The emulator takes the caller's, as a
  bucket's ARN names none.
- Who works with the administrator's key may take on every role, whomever the role trusts: a policy is to be tried on
  this machine by people whom its role need not trust.

``tests/component/test_policy_gaps.py`` and ``test_ownership_gaps.py`` tell when the emulator no longer needs this.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from regionshift.local.state import ADMIN

_PATTERNS = 4096
# Half of a character: no key has it, as it cannot be written in UTF-8.
_SLASH = "\ud800"
_ODD_SLASHES = re.compile(r"^/|//|/$")

_SESSION = re.compile(r"arn:[^:]+:sts::(\d{12}):assumed-role/([^/]+)/.+")
_BUCKET_ARN = "arn:aws:s3:::"
_ACCOUNT_KEYS = ("aws:resourceaccount", "s3:resourceaccount")


def close() -> None:
    """Put the repairs into the running ministack."""
    from ministack.core import iam_actions, iam_evaluator  # type: ignore[import-untyped]
    from ministack.services import s3  # type: ignore[import-untyped]

    iam_evaluator.evaluate_trust_policy = trusting(iam_evaluator.evaluate_trust_policy)
    iam_evaluator._fnmatch_compile = over_lines(iam_evaluator._fnmatch_compile)
    iam_actions._s3_action = of_whole_keys(iam_actions._s3_action, path=1)
    iam_actions.s3_additional_checks = of_whole_keys(iam_actions.s3_additional_checks, path=1)
    iam_actions.extract_resource_arn = of_whole_keys(iam_actions.extract_resource_arn, path=2)
    iam_evaluator._resolve_condition_key = with_account_of_buckets(
        with_roles_of_sessions(iam_evaluator._resolve_condition_key, _role), s3._bucket_owner_account
    )


def trusting(original: Callable[..., bool]) -> Callable[..., bool]:
    """``original``, which tells whether a role's trust policy admits a caller; the administrator it always does."""

    def admits(policy: Any, caller: str, context: Any = None) -> bool:
        return caller.endswith(f":user/{ADMIN}") or original(policy, caller, context)

    return admits


def over_lines(original: Callable[[str, bool], re.Pattern[str]]) -> Callable[[str, bool], re.Pattern[str]]:
    """``original``, which compiles a policy's pattern; its wildcards match every character."""

    @lru_cache(_PATTERNS)
    def compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
        found = original(pattern, ignore_case)
        return re.compile(found.pattern.removesuffix("$") + r"\Z", found.flags | re.DOTALL)

    return compiled


def of_whole_keys(original: Callable[..., Any], path: int) -> Callable[..., Any]:
    """``original``, which tells what policies are asked about a request of S3, with every slash of its key.

    Args:
        path: the place of the request's path among the arguments; what stands before the method is the service.
    """

    def asked(*given: Any) -> Any:
        bucket, _, key = given[path].lstrip("/").partition("/")
        if (path > 1 and given[0] != "s3") or not _ODD_SLASHES.search(key):
            return original(*given)
        kept = f"/{bucket}/{key.replace('/', _SLASH)}"
        return _restored(original(*given[:path], kept, *given[path + 1 :]))

    return asked


def _restored(found: Any) -> Any:
    if isinstance(found, str):
        return found.replace(_SLASH, "/")
    return [(action, _restored(arn)) for action, arn in found] if found else found


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


def with_account_of_buckets(
    original: Callable[..., Any], owner_of: Callable[[str], str | None]
) -> Callable[..., Any]:
    """``original``, which gives a condition key's value, with the owner's account for a bucket."""

    def resolve(key: str, context: Any) -> Any:
        arn = context.resource_arn or ""
        if key.lower() in _ACCOUNT_KEYS and arn.startswith(_BUCKET_ARN):
            owner = owner_of(arn.removeprefix(_BUCKET_ARN).partition("/")[0])
            if owner is not None:
                return owner
        return original(key, context)

    return resolve
