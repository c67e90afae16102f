"""Patches for AWS's quotas of documents, which the emulator does not check.

The numbers are in `settings.quotas`. The codes and messages are AWS's:

- IAM: LimitExceeded for all inline policies of a role, a managed policy, and a trust policy. The same for the number
  of managed policies of a role and of the account (IAM API Reference, PutRolePolicy, CreatePolicy, AttachRolePolicy,
  CreateRole).
- Lambda: InvalidParameterValueException for variables (Lambda API Reference, CreateFunction; message:
  github-aws-runners/terraform-aws-github-runner issue 3594).
- SQS: OverLimit for a queue's policy, with status 403 (BishopFox/cloudfoxable issue 29).
- KMS: LimitExceededException for a key's policy (KMS API Reference, PutKeyPolicy, "a length constraint or quota").
- S3: MalformedPolicy for a bucket's policy, without white space (message: HumanCellAtlas's upload tool,
  ``ait/commons/util/command/delete.py``).
- SNS: InvalidParameter for a topic's policy (SNS API Reference, SetTopicAttributes).
- CloudWatch: InvalidParameterInput for a dashboard (CloudWatch API Reference, PutDashboard).
- Secrets Manager and Step Functions: ValidationException (API References, CreateSecret, SecretString, and
  CreateStateMachine, definition); LimitExceededException for a secret's tags (CreateSecret).

``tests/component/test_size_gaps.py`` fails when the emulator no longer needs a patch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sized
from typing import Any

from regionshift.settings.quotas import (
    BUCKET_POLICY,
    DASHBOARD_METRICS,
    DEFINITION,
    INLINE_POLICIES,
    KEY_POLICY,
    MANAGED_POLICIES,
    MANAGED_POLICY,
    POLICIES_OF_ACCOUNT,
    QUEUE_POLICY,
    SECRET,
    TAGS,
    TOPIC_POLICY,
    TRUST_POLICY,
    VARIABLES,
    WIDGET_METRICS,
    Quota,
    policy_characters,
)

Handler = Callable[..., Any]
Given = Mapping[str, Any]
Problem = tuple[str, str]
"""Code and message of a refusal."""


def close() -> None:
    """Patch the running ministack."""
    from ministack.core.responses import error_response_json  # type: ignore[import-untyped]
    from ministack.services import (  # type: ignore[import-untyped]
        cloudwatch,
        iam,
        kms,
        lambda_svc,
        s3,
        secretsmanager,
        sns,
        sqs,
        stepfunctions,
    )

    def refused_by_iam(code: str, message: str) -> Any:
        return iam._error(409, code, message)

    for action, problem in of_iam(iam._roles, iam._policies).items():
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

    def refused_by_sns(code: str, message: str) -> Any:
        return sns._error(code, message, 400)

    for name in ("_create_topic", "_set_topic_attributes"):
        setattr(sns, name, within(getattr(sns, name), of_topic, refused_by_sns))
    put_policy, put_dashboard = s3._put_bucket_policy, cloudwatch._put_dashboard

    def put_bucket_policy(bucket: str, body: bytes) -> Any:
        found = of_bucket(body.decode("utf-8", "replace"))
        return s3._error(*found, 400) if found else put_policy(bucket, body)

    def put_whole_dashboard(params: Given, told: Given, is_cbor: bool, is_json: bool = False) -> Any:
        body = told.get("DashboardBody") if is_cbor or is_json else _first(params, "DashboardBody")
        found = of_dashboard(str(body or ""))
        if found:
            return cloudwatch._error(*found, 400, use_json=is_json, use_cbor=is_cbor)
        return put_dashboard(params, told, is_cbor, is_json)

    s3._put_bucket_policy, cloudwatch._put_dashboard = put_bucket_policy, put_whole_dashboard


def within(
    original: Handler, problem: Callable[[Given], Problem | None], refuse: Callable[..., Any]
) -> Handler:
    """Wrap an operation: refuse it when ``problem`` returns a problem for one of its arguments."""

    def handle(*given: Any) -> Any:
        found = next((problem(each) for each in given if isinstance(each, Mapping)), None)
        return refuse(*found) if found else original(*given)

    return handle


def of_iam(roles: Mapping[str, Any], policies: Sized = ()) -> dict[str, Callable[[Given], Problem | None]]:
    """Return the checks of IAM by action; ``roles``: the existing roles by name."""

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

    def one_more(given: Given) -> Problem | None:
        return managed(given) or _over("PoliciesPerAccount", POLICIES_OF_ACCOUNT, len(policies) + 1)

    def trust(given: Given) -> Problem | None:
        document = _first(given, "AssumeRolePolicyDocument") or _first(given, "PolicyDocument")
        return _over("ACLSizePerRole", TRUST_POLICY, policy_characters(document))

    def attached(given: Given) -> Problem | None:
        there = {*roles.get(_first(given, "RoleName"), {}).get("AttachedPolicies", ())}
        return _over("PoliciesPerRole", MANAGED_POLICIES, len({*there, _first(given, "PolicyArn")}))

    return {
        "PutRolePolicy": inline,
        "CreatePolicy": one_more,
        "CreatePolicyVersion": managed,
        "CreateRole": trust,
        "UpdateAssumeRolePolicy": trust,
        "AttachRolePolicy": attached,
    }


def of_variables(given: Given) -> Problem | None:
    """Check the size of a function's variables as JSON."""
    text = json.dumps((given.get("Environment") or {}).get("Variables") or {}, separators=(",", ":"))
    if len(text.encode()) <= VARIABLES.most:
        return None
    return (
        "InvalidParameterValueException",
        "Lambda was unable to configure your environment variables because the environment variables you have"
        f" provided exceeded the 4KB limit. String measured: {text}",
    )


def of_queue(given: Given) -> Problem | None:
    """Check the size of a queue's policy."""
    policy = (given.get("Attributes") or {}).get("Policy") or ""
    if len(policy.encode()) <= QUEUE_POLICY.most:
        return None
    return "OverLimit", "Submitted policy is over max allowed size."


def of_bucket(policy: str) -> Problem | None:
    """Check the size of a bucket's policy, without white space."""
    try:
        policy = json.dumps(json.loads(policy), separators=(",", ":"), ensure_ascii=False)
    except ValueError:
        return None  # S3 refuses it
    if len(policy.encode()) <= BUCKET_POLICY.most:
        return None
    message = f"Normalized policy document exceeds the maximum allowed size of {BUCKET_POLICY.most} bytes"
    return "MalformedPolicy", message


def of_topic(given: Given) -> Problem | None:
    """Check the size of a topic's policy, as one attribute or among those of a new topic."""
    named = {_first(given, "AttributeName"): _first(given, "AttributeValue")}
    for name in given:
        if name.startswith("Attributes.entry.") and name.endswith(".key"):
            named[_first(given, name)] = _first(given, f"{name.removesuffix('key')}value")
    if len(named.get("Policy", "").encode()) <= TOPIC_POLICY.most:
        return None
    return "InvalidParameter", f"Invalid parameter: Policy is longer than {TOPIC_POLICY.most} bytes"


def of_dashboard(body: str) -> Problem | None:
    """Check the number of metrics in each widget and in the dashboard."""
    try:
        widgets = json.loads(body).get("widgets", [])
    except (ValueError, AttributeError):
        return None  # CloudWatch refuses it
    counts = [len((each.get("properties") or {}).get("metrics") or ()) for each in widgets]
    for quota, size in ((WIDGET_METRICS, max(counts, default=0)), (DASHBOARD_METRICS, sum(counts))):
        if size > quota.most:
            message = f"The dashboard body is invalid: {size} {quota.of}, more than {quota.most}"
            return "InvalidParameterInput", message
    return None


def of_key(given: Given) -> Problem | None:
    """Check the size of a key's policy."""
    if len((given.get("Policy") or "").encode()) <= KEY_POLICY.most:
        return None
    return "LimitExceededException", f"The key policy is larger than {KEY_POLICY.most} bytes."


def of_secret(given: Given) -> Problem | None:
    """Check the size of a secret's value, and the number of its tags."""
    if len(given.get("Tags") or ()) > TAGS.most:
        return "LimitExceededException", f"A secret has at most {TAGS.most} tags."
    return _longer("secretString", SECRET, given.get("SecretString") or "")


def of_definition(given: Given) -> Problem | None:
    """Check the size of a state machine's definition."""
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
    """Return a parameter of a query request, where each is a list."""
    value = given.get(name, "")
    return str(next(iter(value), "")) if isinstance(value, list) else str(value)
