"""Patches of the emulator's evaluation of policies. AWS's behaviour:

- The ARN of an object has the whole key: "/", "a//b" and "a/" are three keys (Amazon S3 User Guide, "Naming Amazon S3
  objects"). The emulator drops slashes at both ends and double slashes. Then ``data/*`` does not allow ``data/``, the
  folder that S3's console creates.
- ``*`` matches any characters (IAM User Guide, "IAM JSON policy elements: Resource"). The emulator's does not match the
  end of a line, which a key can have.
- ``aws:PrincipalArn`` of a session is its role (IAM User Guide, "AWS global condition context keys"). The emulator uses
  the session.
- ``aws:ResourceAccount`` of a bucket is its owner (the same page). The emulator uses the caller, because a bucket's ARN
  has no account.
- Unlike on AWS, the administrator's key may assume each role, even without its trust. So a user can try a policy on
  this machine.
- SimulatePrincipalPolicy uses the given context and the permissions boundary, for all given resources. It returns
  condition keys that are missing in the context (IAM API Reference, "SimulatePrincipalPolicy", "EvaluationResult"). The
  emulator uses the first resource and no context.
- An OIDC provider can be tagged and changed, and IAM returns its URL without the scheme (IAM API Reference,
  "GetOpenIDConnectProvider"). The emulator can only create and delete it.
- STS accepts a token only from an OIDC provider of the account, and only for a registered audience (STS API Reference,
  "AssumeRoleWithWebIdentity", IDPCommunicationError and InvalidIdentityToken). It has condition keys for more claims of
  GitHub's tokens than subject and audience (IAM User Guide, "Available keys for AWS OIDC federation", GitHub). The
  emulator has none of this. Signature and expiry of a token are not checked here either,
  because nobody offline has GitHub's key.

``tests/component/test_policy_gaps.py``, ``test_issuer_gaps.py`` and ``test_ownership_gaps.py`` fail when the emulator
no longer needs a patch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import lru_cache
from itertools import count
from typing import Any
from xml.sax.saxutils import escape

from regionshift.local.state import ADMIN

_PATTERNS = 4096
# Half of a surrogate pair: UTF-8 cannot encode it, so no key has it.
_SLASH = "\ud800"
_ODD_SLASHES = re.compile(r"^/|//|/$")

_SESSION = re.compile(r"arn:[^:]+:sts::(\d{12}):assumed-role/([^/]+)/.+")
_BUCKET_ARN = "arn:aws:s3:::"
# A new bucket has no owner yet. For any other missing bucket, S3 says so to all callers.
_OF_NEW_BUCKETS = ("s3:CreateBucket", "s3:TagResource")
_GITHUB = "token.actions.githubusercontent.com"
_CLAIMS = (
    "actor",
    "actor_id",
    "enterprise_id",
    "environment",
    "job_workflow_ref",
    "ref",
    "repository",
    "repository_id",
    "workflow",
)
"""Claims of GitHub's tokens that are condition keys, besides ``aud`` and ``sub``."""
_ACCOUNT_KEYS = ("aws:resourceaccount", "s3:resourceaccount")


def close() -> None:
    """Patch the running ministack."""
    from ministack.core import iam_actions, iam_evaluator  # type: ignore[import-untyped]
    from ministack.services import iam, s3, sts  # type: ignore[import-untyped]

    simulation = Simulation(iam_evaluator, iam)
    iam._extract_simulate_params = simulation.noting(iam._extract_simulate_params)
    iam._build_simulate_results_real = simulation.results
    iam._IAM_HANDLERS.update(of_issuers(iam))
    sts._web_identity_principal = of_known_issuers(sts._web_identity_principal, iam._oidc_providers.get)
    iam_evaluator.evaluate_trust_policy = trusting(iam_evaluator.evaluate_trust_policy)
    iam_evaluator._fnmatch_compile = over_lines(iam_evaluator._fnmatch_compile)
    iam_actions._s3_action = of_whole_keys(iam_actions._s3_action, path=1)
    iam_actions.s3_additional_checks = of_whole_keys(iam_actions.s3_additional_checks, path=1)
    iam_actions.extract_resource_arn = of_whole_keys(iam_actions.extract_resource_arn, path=2)
    iam_evaluator._resolve_condition_key = with_account_of_buckets(
        with_roles_of_sessions(iam_evaluator._resolve_condition_key, _role), s3._bucket_owner_account
    )


def trusting(original: Callable[..., bool]) -> Callable[..., bool]:
    """Wrap the evaluation of trust policies: they always allow the administrator."""

    def admits(policy: Any, caller: str, context: Any = None) -> bool:
        return caller.endswith(f":user/{ADMIN}") or original(policy, caller, context)

    return admits


def over_lines(original: Callable[[str, bool], re.Pattern[str]]) -> Callable[[str, bool], re.Pattern[str]]:
    """Wrap the compilation of a policy's pattern: its wildcards match all characters."""

    @lru_cache(_PATTERNS)
    def compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
        found = original(pattern, ignore_case)
        return re.compile(found.pattern.removesuffix("$") + r"\Z", found.flags | re.DOTALL)

    return compiled


def of_whole_keys(original: Callable[..., Any], path: int) -> Callable[..., Any]:
    """Wrap a function that finds actions or ARNs of a request to S3: keep all slashes of the key.

    Args:
        path: the index of the request's path among the arguments. With an index over 1, the first is the service.
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
    """Wrap the value of a condition key: the principal of a session is its role.

    Args:
        role_of: returns the ARN of a role by account and name. The session's ARN has no path.
    """

    def resolve(key: str, context: Any) -> Any:
        found = original(key, context)
        session = _SESSION.fullmatch(str(found)) if key.lower() == "aws:principalarn" else None
        return (role_of(session[1], session[2]) or found) if session else found

    return resolve


def with_account_of_buckets(
    original: Callable[..., Any], owner_of: Callable[[str], str | None]
) -> Callable[..., Any]:
    """Wrap the value of a condition key: the account of a bucket is its owner."""

    def resolve(key: str, context: Any) -> Any:
        arn = context.resource_arn or ""
        if key.lower() in _ACCOUNT_KEYS and arn.startswith(_BUCKET_ARN):
            owner = owner_of(arn.removeprefix(_BUCKET_ARN).partition("/")[0])
            if owner is not None or context.action in _OF_NEW_BUCKETS:
                return owner
        return original(key, context)

    return resolve


_given: ContextVar[Mapping[str, Any]] = ContextVar("what is simulated")


class Simulation:
    """SimulatePrincipalPolicy, with the emulator's modules ``evaluator`` and ``iam``."""

    def __init__(self, evaluator: Any, iam: Any) -> None:
        self._evaluator, self._iam = evaluator, iam

    def noting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the function that reads the parameters: keep all of them."""

        def extract(parameters: Mapping[str, Any]) -> Any:
            _given.set(parameters)
            return original(parameters)

        return extract

    def results(
        self, actions: Sequence[str], _first: str, principal: str, account: str, policies: Any
    ) -> str:
        """Return the results as XML, for all actions and resources."""
        name = principal.rpartition("/")[2]
        store = self._iam._users if ":user/" in principal else self._iam._roles
        limits = self._evaluator._permissions_boundary(store, name, account)
        resources = [*self._values("ResourceArns")] or ["*"]
        return "".join(
            self._result(self._context(action, resource, principal, account), policies, limits)
            for resource in resources
            for action in actions
        )

    def _values(self, name: str) -> Iterator[str]:
        for number in count(1):
            value = self._iam._p(_given.get(), f"{name}.member.{number}")
            if not value:
                return
            yield value

    def _context(self, action: str, resource: str, principal: str, account: str) -> Any:
        known: dict[str, Any] = {}
        for number in count(1):
            entry = f"ContextEntries.member.{number}"
            name = self._iam._p(_given.get(), f"{entry}.ContextKeyName")
            if not name:
                break
            values = [*self._values(f"{entry}.ContextKeyValues")]
            is_list = self._iam._p(_given.get(), f"{entry}.ContextKeyType").endswith("List")
            known[name.lower()] = values if is_list else next(iter(values), None)
        return self._evaluator.EvalContext(
            principal_arn=principal,
            principal_type="User",
            principal_account=account,
            action=action,
            resource_arn=resource,
            region=known.get("aws:requestedregion"),
            secure_transport=known.get("aws:securetransport"),
            service_context=known,
        )

    def _result(self, context: Any, policies: Any, limits: Any) -> str:
        decided = self._evaluator.evaluate(context, policies, *limits).decision
        decision = {"Allow": "allowed", "Deny": "explicitDeny"}.get(decided, "implicitDeny")
        missing = "".join(f"<member>{key}</member>" for key in sorted(self._missing(context, policies)))
        return (
            f"<member><EvalActionName>{context.action}</EvalActionName>"
            f"<EvalResourceName>{escape(context.resource_arn)}</EvalResourceName>"
            f"<EvalDecision>{decision}</EvalDecision><MatchedStatements></MatchedStatements>"
            f"<MissingContextValues>{missing}</MissingContextValues></member>"
        )

    def _missing(self, context: Any, policies: Any) -> set[str]:
        """Return the condition keys without a value, from statements on this action and resource."""
        of = self._evaluator
        return {
            key
            for policy in policies
            for each in policy
            if of._action_matches(context.action, each.actions, each.not_actions)
            and of._resource_matches(context.resource_arn, each.resources, each.not_resources)
            for operator, keys in each.conditions.items()
            if operator != "Null" and not operator.endswith("IfExists")
            for key in keys
            if of._resolve_condition_key(key, context) is None
        }


Operation = Callable[[Any], Any]


def of_issuers(iam: Any) -> dict[str, Operation]:
    """Return the operations on OIDC providers that the emulator lacks, and a corrected CreateOpenIDConnectProvider."""

    def changing(operation: str, change: Callable[[dict[str, Any], Any], None]) -> Operation:
        def answer(given: Any) -> Any:
            arn = iam._p(given, "OpenIDConnectProviderArn")
            issuer = iam._oidc_providers.get(arn)
            if issuer is None:
                return iam._error(
                    404, "NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}", ns="iam"
                )
            change(issuer, given)
            return iam._xml(200, f"{operation}Response", "", ns="iam")

        return answer

    def tag(issuer: dict[str, Any], given: Any) -> None:
        tags = {each["Key"]: each for each in (*issuer.get("Tags", ()), *iam._extract_tags(given))}
        issuer["Tags"] = list(tags.values())

    def untag(issuer: dict[str, Any], given: Any) -> None:
        gone = iam._extract_tag_keys(given)
        issuer["Tags"] = [each for each in issuer.get("Tags", ()) if each["Key"] not in gone]

    def add(issuer: dict[str, Any], given: Any) -> None:
        issuer["ClientIDList"] = [*dict.fromkeys([*issuer["ClientIDList"], iam._p(given, "ClientID")])]

    def remove(issuer: dict[str, Any], given: Any) -> None:
        gone = iam._p(given, "ClientID")
        issuer["ClientIDList"] = [each for each in issuer["ClientIDList"] if each != gone]

    def print_thumb(issuer: dict[str, Any], given: Any) -> None:
        issuer["ThumbprintList"] = [
            value[0] if isinstance(value, list) else value
            for name, value in given.items()
            if name.startswith("ThumbprintList.member.")
        ]

    def create(given: Any) -> Any:
        answer = iam._create_oidc_provider(given)
        for issuer in iam._oidc_providers.values():
            issuer["Url"] = issuer["Url"].removeprefix("https://")
        return answer

    changes = {
        "TagOpenIDConnectProvider": tag,
        "UntagOpenIDConnectProvider": untag,
        "AddClientIDToOpenIDConnectProvider": add,
        "RemoveClientIDFromOpenIDConnectProvider": remove,
        "UpdateOpenIDConnectProviderThumbprint": print_thumb,
    }
    return {
        "CreateOpenIDConnectProvider": create,
        **{name: changing(name, change) for name, change in changes.items()},
    }


def of_known_issuers(original: Callable[..., Any], issuer_of: Callable[[str], Any]) -> Callable[..., Any]:
    """Wrap the function that reads a token: accept it only from a known OIDC provider, and add claims.

    Args:
        issuer_of: returns the emulator's record of an OIDC provider by its ARN.
    """
    from ministack.services.cognito import _decode_id_token_unverified  # type: ignore[import-untyped]

    def principal(token: str, provider: str, role: str) -> Any:
        found, keys = original(token, provider, role)
        if not found.startswith("arn:"):
            return found, keys  # a provider that is built into AWS
        issuer = issuer_of(found)
        host = found.partition(":oidc-provider/")[2]
        if issuer is None or keys.get(f"{host}:aud") not in issuer["ClientIDList"]:
            return "", {}
        claims = _decode_id_token_unverified(token)
        more = _CLAIMS if host == _GITHUB else ()
        return found, keys | {f"{host}:{name}": claims[name] for name in more if name in claims}

    return principal
