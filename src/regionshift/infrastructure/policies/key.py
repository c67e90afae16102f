"""The policy of a region's key."""

from __future__ import annotations

from collections.abc import Sequence

from regionshift.infrastructure.policies.exceptions import KEY_POLICY_RESOURCE
from regionshift.infrastructure.policies.statement import Statement, allow

ADMINISTRATION = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:CreateGrant",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)

USE = (
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


def seal_statements(account_root: str) -> list[Statement]:
    """Who may use the HMAC key of the records: whom IAM of this account admits, and no service.

    Whoever may ask it for a MAC can write records that are acted on (KMS Developer Guide, "HMAC keys in AWS KMS").
    """
    actions = [*(each for each in ADMINISTRATION if "Rotat" not in each), "kms:GenerateMac", "kms:VerifyMac"]
    return [allow("AccountByIam", actions, [KEY_POLICY_RESOURCE], principal={"AWS": account_root})]


def key_statements(
    account_root: str, region: str, account: str, log_groups: Sequence[str], alarms: str
) -> list[Statement]:
    """Who may use the key.

    The account's root stands for "whoever IAM policies of this account admit" (KMS Developer Guide,
    "Default key policy"); where AWS's default says ``kms:*`` this one lists the actions.

    Args:
        account_root: ARN of the account's root.
        region: the key's region.
        account: the account's id.
        log_groups: ARNs of the log groups that are encrypted with the key (CloudWatch Logs User Guide,
            "Encrypt log data in CloudWatch Logs using AWS KMS").
        alarms: ARN pattern of the alarms that tell a topic under the key (SNS Developer Guide, "Key
            management", "Enable compatibility between event sources from AWS services and encrypted topics").
    """
    itself = [KEY_POLICY_RESOURCE]
    return [
        allow("AccountByIam", [*ADMINISTRATION, *USE], itself, principal={"AWS": account_root}),
        allow(
            "Logs",
            [*USE, "kms:DescribeKey"],
            itself,
            principal={"Service": f"logs.{region}.amazonaws.com"},
            condition={"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": list(log_groups)}},
        ),
        allow(
            "Alarms",
            ["kms:Decrypt", "kms:GenerateDataKey"],
            itself,
            principal={"Service": "cloudwatch.amazonaws.com"},
            condition={
                "StringEquals": {"aws:SourceAccount": account},
                "ArnLike": {"aws:SourceArn": alarms},
            },
        ),
    ]
