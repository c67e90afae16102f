"""Write policies: statements as plain data, documents as JSON. Also list the actions that AWS cannot limit further."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pulumi
from pulumi.output import Unknown

Statement = dict[str, Any]
Condition = dict[str, dict[str, str | list[str]]]
Principal = dict[str, str | list[str]] | str


def allow(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    *,
    condition: Condition | None = None,
    principal: Principal | None = None,
) -> Statement:
    """Return a statement that allows. ``principal`` is for policies of a resource."""
    return _statement("Allow", sid, actions, resources, condition=condition, principal=principal)


def deny(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    *,
    condition: Condition | None = None,
    principal: Principal | None = None,
) -> Statement:
    """Return a statement that denies, whatever else allows it."""
    return _statement("Deny", sid, actions, resources, condition=condition, principal=principal)


def within(account: str) -> Condition:
    """Return a condition for resources of ``account`` alone. The ARN of a bucket has no account, so a stranger may own
    the name.

    IAM User Guide, "AWS global condition context keys", aws:ResourceAccount.
    """
    return {"StringEquals": {"aws:ResourceAccount": account}}


def document(statements: Sequence[Statement]) -> str:
    """Return the policy as JSON. Equal statements give equal text, so two runs show no difference."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def policy(build: Callable[..., Sequence[Statement]], **resources: pulumi.Input[Any]) -> pulumi.Output[str]:
    """Return the JSON of ``build(**resources)`` as soon as the resources are known.

    In a preview, what AWS has not made yet appears by its name, as a variable of the policy. So a plan shows every
    statement, and a check can find the growth of rights.
    """
    return foretold(lambda known: document(build(**known)), resources)


def foretold(
    build: Callable[[Mapping[str, Any]], str], parts: Mapping[str, pulumi.Input[Any]], **words: Any
) -> pulumi.Output[str]:
    """Return ``build(parts)``. In a preview, unknown parts are replaced by ``words``, or by `known_later`."""

    def told(known: Mapping[str, Any]) -> str:
        return build(
            {name: _told(value, words.get(name, known_later(name))) for name, value in known.items()}
        )

    return pulumi.Output.from_input(dict(parts)).apply(told, run_with_unknowns=pulumi.runtime.is_dry_run())


def arn_by_name(arn: pulumi.Input[str], by_name: str) -> pulumi.Output[str]:
    """Return ``arn``, or ``by_name`` while it is unknown in a preview: for resources whose name determines the ARN."""
    return foretold(lambda known: str(known["arn"]), {"arn": arn}, arn=by_name)


def known_later(name: str) -> str:
    """Return the text in a previewed policy for the ``name`` that AWS makes up."""
    return f"${{known when made: {name}}}"


def _told(value: Any, words: Any) -> Any:
    if isinstance(value, Unknown):
        return words
    if isinstance(value, list):
        every = words if isinstance(words, list) else [words] * len(value)
        return [_told(each, word) for each, word in zip(value, every, strict=True)]
    return value


def trust(service: str, account: str, sources: Sequence[str] = ()) -> str:
    """Return who may assume a role: one AWS service, for ``account`` only.

    IAM User Guide, "The confused deputy problem", "Cross-service confused deputy prevention".

    Args:
        sources: the patterns of the ARNs that the service may act for. Only for services that document that they send
            them: Lambda sends none when it creates a function, and S3 sends none for replication.
    """
    condition: Condition = {"StringEquals": {"aws:SourceAccount": account}}
    if sources:
        condition["ArnLike"] = {"aws:SourceArn": list(sources)}
    statement = _statement(
        "Allow",
        "Assume",
        ["sts:AssumeRole"],
        [],
        condition=condition,
        principal={"Service": f"{service}.amazonaws.com"},
    )
    del statement["Resource"]  # a trust policy stands on its role and has none
    return document([statement])


def tls_only(actions: Sequence[str], resources: Sequence[str]) -> Statement:
    """Return a statement that denies everything over plain HTTP (Amazon S3 User Guide, "Security best practices")."""
    return deny(
        "TlsOnly",
        actions,
        resources,
        condition={"Bool": {"aws:SecureTransport": "false"}},
        principal="*",
    )


def _statement(
    effect: str,
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    *,
    condition: Condition | None,
    principal: Principal | None,
) -> Statement:
    statement: Statement = {"Sid": sid, "Effect": effect}
    if principal is not None:
        statement["Principal"] = principal
    statement["Action"] = list(actions)
    statement["Resource"] = list(resources)
    if condition:
        statement["Condition"] = condition
    return statement


FENCE = document([deny("Fenced", ["*"], ["*"])])
"""The inline policy of a role that may do nothing any more (`operations.moving.fencing`)."""

READ_OBJECTS = (
    "s3:GetObject",
    "s3:GetObjectTagging",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionTagging",
)
WRITE_OBJECTS = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
    "s3:PutObjectTagging",
    "s3:PutObjectVersionTagging",
)
USE_KEY = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")
"""What reading and writing encrypted data needs (KMS Developer Guide, "How AWS services use AWS KMS")."""

LOG_DELIVERY = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
)
"""The rights of a role whose log is delivered (Step Functions Developer Guide, "Using CloudWatch Logs")."""

WITHOUT_RESOURCE: Mapping[str, str] = MappingProxyType(
    {
        "xray:PutTraceSegments": "X-Ray has no resource type for it (Service Authorization Reference)",
        "xray:PutTelemetryRecords": "X-Ray has no resource type for it (Service Authorization Reference)",
        "cloudwatch:PutMetricData": (
            "a metric is no resource, only an OTLP dataset is; it is bound by cloudwatch:namespace"
            " (Service Authorization Reference)"
        ),
        "ec2:DescribeNetworkInterfaces": "EC2 lists have no resource type (Service Authorization Reference)",
        "ec2:DescribeSubnets": "EC2 lists have no resource type (Service Authorization Reference)",
        "lambda:GetAccountSettings": "Lambda has no resource type for it (Service Authorization Reference)",
        "ssm:DescribeParameters": "Systems Manager lists names as a whole (Service Authorization Reference)",
        **dict.fromkeys(
            LOG_DELIVERY,
            "log delivery has no resource type (Step Functions Developer Guide, 'Logging')",
        ),
    }
)
"""Actions of identity policies that AWS cannot limit to a resource, each with its reason."""

EVERY_OF_A_TYPE: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "ec2:AssignPrivateIpAddresses",
                "ec2:CreateNetworkInterface",
                "ec2:DeleteNetworkInterface",
                "ec2:UnassignPrivateIpAddresses",
            ),
            "the ids of interfaces are not known before Lambda makes them (Lambda Developer Guide, 'Giving Lambda"
            " functions access to resources in an Amazon VPC')",
        ),
        "logs:PutResourcePolicy": "log delivery has no resource type (Step Functions Developer Guide, 'Logging')",
    }
)
"""Actions that change something and are allowed on every resource of a type, each with its reason."""

KEY_POLICY_RESOURCE = "*"
"""In a key policy the resource ``*`` is the key itself (KMS Developer Guide, "Key policies in AWS KMS")."""

WILDCARD_DENIES: Mapping[str, str] = MappingProxyType(
    {
        "s3:*": (
            "only in the refusal of plain HTTP: a wildcard in a Deny narrows, and a list would leave gaps"
            " (Amazon S3 User Guide, 'Security best practices')"
        ),
    }
)
"""The wildcard actions. All of them are denied."""
