"""AWS's quotas of documents, which the emulator takes at any size, kept inside its process.

The numbers are those of `settings.quotas`; the codes and words those of AWS:

- IAM refuses with LimitExceeded: inline policies of a role together, a managed policy, managed policies of a role,
  a trust policy (IAM API Reference, PutRolePolicy, CreatePolicy, AttachRolePolicy, CreateRole).
- Lambda's InvalidParameterValueException for variables (Lambda API Reference, CreateFunction; as it words it:
  github-aws-runners/terraform-aws-github-runner issue 3594).
- SQS's OverLimit for a queue's policy, with status 403 (BishopFox/cloudfoxable issue 29).
- KMS's LimitExceededException for a key's policy (KMS API Reference, PutKeyPolicy, "a length constraint or quota").
- ValidationException of Secrets Manager and Step Functions (API References, CreateSecret, SecretString, and
  CreateStateMachine, definition); LimitExceededException for a secret's tags (the same, CreateSecret).

``tests/component/test_size_gaps.py`` tells when the emulator no longer needs it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from regionshift.settings.quotas import (
    DEFINITION,
    INLINE_POLICIES,
    KEY_POLICY,
    MANAGED_POLICIES,
    MANAGED_POLICY,
    QUEUE_POLICY,
    SECRET,
    TAGS,
    TRUST_POLICY,
    VARIABLES,
    Quota,
    policy_characters,
)

Handler = Callable[..., Any]
Given = Mapping[str, Any]
Problem = tuple[str, str]
"""Code and message of a refusal."""


def close() -> None:
    """Put the repairs into the running ministack."""
    from ministack.core.responses import error_response_json  # type: ignore[import-untyped]
    from ministack.services import (  # type: ignore[import-untyped]
        iam,
        kms,
        lambda_svc,
        secretsmanager,
        sqs,
        stepfunctions,
    )

    def refused_by_iam(code: str, message: str) -> Any:
        return iam._error(409, code, message)

    for action, problem in of_iam(iam._roles).items():
        iam._IAM_HANDLERS[action] = within(iam._IAM_HANDLERS[action], problem, refused_by_iam)

    def refused(code: str, message: str) -> Any:
        return error_response_json(code, message, 400)

    for module, names, problem in (
        (lambda_svc, ("_create_function", "_update_config"), of_variables),
        (kms, ("_create_key", "_put_key_policy"), of_key),
        (secretsmanager, ("_create_secret", "_put_secret_value", "_update_secret"), of_secret),
        (stepfunctions, ("_create_state_machine", "_update_state_machine"), of_definition),
    ):
        for name in names:
            setattr(module, name, within(getattr(module, name), problem, refused))

    def refused_by_sqs(code: str, message: str) -> Any:
        raise sqs._Err(code, message, 403)

    for action in ("CreateQueue", "SetQueueAttributes"):
        sqs._HANDLERS[action] = within(sqs._HANDLERS[action], of_queue, refused_by_sqs)


def within(
    original: Handler, problem: Callable[[Given], Problem | None], refuse: Callable[..., Any]
) -> Handler:
    """``original``, which takes the parameters of a request among its arguments, but for what ``problem`` finds."""

    def handle(*given: Any) -> Any:
        found = next((problem(each) for each in given if isinstance(each, Mapping)), None)
        return refuse(*found) if found else original(*given)

    return handle


def of_iam(roles: Mapping[str, Any]) -> dict[str, Callable[[Given], Problem | None]]:
    """What IAM finds in the parameters of each action; ``roles``: what there is, by name."""

    def inline(given: Given) -> Problem | None:
        role = _first(given, "RoleName")
        others = {**roles.get(role, {}).get("InlinePolicies", {})}
        others[_first(given, "PolicyName")] = _first(given, "PolicyDocument")
        if role not in roles or sum(map(policy_characters, others.values())) <= INLINE_POLICIES.most:
            return None
        return (
            "LimitExceeded",
            f"Maximum policy size of {INLINE_POLICIES.most} bytes exceeded for role {role}",
        )

    def managed(given: Given) -> Problem | None:
        return _over("PolicySize", MANAGED_POLICY, policy_characters(_first(given, "PolicyDocument")))

    def trust(given: Given) -> Problem | None:
        document = _first(given, "AssumeRolePolicyDocument") or _first(given, "PolicyDocument")
        return _over("ACLSizePerRole", TRUST_POLICY, policy_characters(document))

    def attached(given: Given) -> Problem | None:
        there = {*roles.get(_first(given, "RoleName"), {}).get("AttachedPolicies", ())}
        return _over("PoliciesPerRole", MANAGED_POLICIES, len({*there, _first(given, "PolicyArn")}))

    return {
        "PutRolePolicy": inline,
        "CreatePolicy": managed,
        "CreatePolicyVersion": managed,
        "CreateRole": trust,
        "UpdateAssumeRolePolicy": trust,
        "AttachRolePolicy": attached,
    }


def of_variables(given: Given) -> Problem | None:
    """Of a function's variables, measured as JSON."""
    text = json.dumps((given.get("Environment") or {}).get("Variables") or {}, separators=(",", ":"))
    if len(text.encode()) <= VARIABLES.most:
        return None
    return (
        "InvalidParameterValueException",
        "Lambda was unable to configure your environment variables because the environment variables you have"
        f" provided exceeded the 4KB limit. String measured: {text}",
    )


def of_queue(given: Given) -> Problem | None:
    """Of a queue's policy."""
    policy = (given.get("Attributes") or {}).get("Policy") or ""
    if len(policy.encode()) <= QUEUE_POLICY.most:
        return None
    return "OverLimit", "Submitted policy is over max allowed size."


def of_key(given: Given) -> Problem | None:
    """Of a key's policy."""
    if len((given.get("Policy") or "").encode()) <= KEY_POLICY.most:
        return None
    return "LimitExceededException", f"The key policy is larger than {KEY_POLICY.most} bytes."


def of_secret(given: Given) -> Problem | None:
    """Of a secret's value, and of the tags that it is made with."""
    if len(given.get("Tags") or ()) > TAGS.most:
        return "LimitExceededException", f"A secret has at most {TAGS.most} tags."
    return _longer("secretString", SECRET, given.get("SecretString") or "")


def of_definition(given: Given) -> Problem | None:
    """Of a state machine's definition."""
    return _longer("definition", DEFINITION, given.get("definition") or "")


def _longer(member: str, quota: Quota, text: str) -> Problem | None:
    if len(text.encode()) <= quota.most:
        return None
    return (
        "ValidationException",
        f"1 validation error detected: Value at '{member}' failed to satisfy constraint:"
        f" Member must have length less than or equal to {quota.most}",
    )


def _over(name: str, quota: Quota, size: int) -> Problem | None:
    return ("LimitExceeded", f"Cannot exceed quota for {name}: {quota.most}") if size > quota.most else None


def _first(given: Given, name: str) -> str:
    """A parameter of a query request, of which each is a list."""
    value = given.get(name, "")
    return str(next(iter(value), "")) if isinstance(value, list) else str(value)
