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
- SimulatePrincipalPolicy goes by the context that it is given and by the permissions boundary, of every resource that
  it is given, and names the keys that conditions need and it was not told (IAM API Reference,
  "SimulatePrincipalPolicy", "EvaluationResult"). The emulator looks at the first resource, and at no context.
- An issuer of identities can be tagged and changed, and IAM tells its URL without the scheme (IAM API Reference,
  "GetOpenIDConnectProvider"). The emulator makes and deletes it only.
- STS takes a token only of an issuer that the account knows, for an audience that is registered there (STS API
  Reference, "AssumeRoleWithWebIdentity", IDPCommunicationError and InvalidIdentityToken), and looks at more claims of
  GitHub's tokens than subject and audience (IAM User Guide, "Available keys for AWS OIDC federation", GitHub). The
  emulator asks neither, and knows no other claims. Signature and end of a token it does not look at, and no more here:
  nobody offline has GitHub's key.

``tests/component/test_policy_gaps.py``, ``test_issuer_gaps.py`` and ``test_ownership_gaps.py`` tell when the emulator
no longer needs this.
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
# Half of a character: no key has it, as it cannot be written in UTF-8.
_SLASH = "\ud800"
_ODD_SLASHES = re.compile(r"^/|//|/$")

_SESSION = re.compile(r"arn:[^:]+:sts::(\d{12}):assumed-role/([^/]+)/.+")
_BUCKET_ARN = "arn:aws:s3:::"
# A bucket that is made has no owner yet; of any other that is not there S3 says so, whoever asks.
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
"""Claims of GitHub's tokens that are condition keys beside ``aud`` and ``sub``."""
_ACCOUNT_KEYS = ("aws:resourceaccount", "s3:resourceaccount")


def close() -> None:
    """Put the repairs into the running ministack."""
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
            if owner is not None or context.action in _OF_NEW_BUCKETS:
                return owner
        return original(key, context)

    return resolve


_given: ContextVar[Mapping[str, Any]] = ContextVar("what is simulated")


class Simulation:
    """What IAM says of requests that are not made, by the emulator's modules ``evaluator`` and ``iam``."""

    def __init__(self, evaluator: Any, iam: Any) -> None:
        self._evaluator, self._iam = evaluator, iam

    def noting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """``original``, which reads the parameters; they are kept, as it gives on only some."""

        def extract(parameters: Mapping[str, Any]) -> Any:
            _given.set(parameters)
            return original(parameters)

        return extract

    def results(
        self, actions: Sequence[str], _first: str, principal: str, account: str, policies: Any
    ) -> str:
        """The results as XML, of every action with every resource."""
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
        """The keys of conditions about this action and resource whose values were not told."""
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
    """The operations on an issuer that the emulator has not, and those that tell its URL."""

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
    """``original``, which tells of a token its issuer and its condition keys: only of an issuer that takes it.

    Args:
        issuer_of: the issuer with an ARN, as the emulator keeps it.
    """
    from ministack.services.cognito import _decode_id_token_unverified  # type: ignore[import-untyped]

    def principal(token: str, provider: str, role: str) -> Any:
        found, keys = original(token, provider, role)
        if not found.startswith("arn:"):
            return found, keys  # one of those that AWS knows itself
        issuer = issuer_of(found)
        host = found.partition(":oidc-provider/")[2]
        if issuer is None or keys.get(f"{host}:aud") not in issuer["ClientIDList"]:
            return "", {}
        claims = _decode_id_token_unverified(token)
        more = _CLAIMS if host == _GITHUB else ()
        return found, keys | {f"{host}:{name}": claims[name] for name in more if name in claims}

    return principal
