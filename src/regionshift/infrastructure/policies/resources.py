"""The policies of resources: buckets, topics, the dead-letter queue, the region's keys."""

from __future__ import annotations

from collections.abc import Sequence

from regionshift.infrastructure.policies.statement import (
    KEY_POLICY_RESOURCE,
    Statement,
    allow,
    deny,
    tls_only,
)
from regionshift.infrastructure.site import Site
from regionshift.settings import components as named
from regionshift.settings.regions import service_host


def tls_only_bucket(bucket: str) -> list[Statement]:
    """Deny all access to the bucket over plain HTTP. ``bucket`` is its ARN."""
    return [tls_only(["s3:*"], [bucket, f"{bucket}/*"])]


_RECORDS = ("migrations/", "rollbacks/")
_OF_THE_COMMAND = ("artifacts/", "state/")
_WRITE = ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObject")
_REPLICATE = ("s3:ReplicateDelete", "s3:ReplicateObject")


def deployment_bucket_statements(
    bucket: str, roles: Sequence[str], replication: Sequence[str], operators: Sequence[str]
) -> list[Statement]:
    """Deny plain HTTP. With ``operators``, also deny writes to records and to the command's own objects to everybody
    else.

    This also stops callers that have ``s3:PutObject`` on the whole bucket. ``aws:PrincipalArn`` of a session is its
    role (IAM User Guide, "AWS global condition context keys"). The policy does not protect itself: a caller that may
    put bucket policies can change it, so nobody is locked out forever.

    Args:
        roles: the ARNs of the environment's roles that write records.
        replication: the ARNs of the roles that write replicas.
        operators: the ARNs or patterns of those who run the command. Without them nothing but plain HTTP is denied.
    """
    if not operators:
        return tls_only_bucket(bucket)
    return [
        *tls_only_bucket(bucket),
        _only("RecordsOfMigrations", _WRITE, bucket, _RECORDS, [*roles, *operators]),
        _only("CommandsOwn", _WRITE, bucket, _OF_THE_COMMAND, operators),
        _only("Replicas", _REPLICATE, bucket, (*_RECORDS, *_OF_THE_COMMAND), replication),
    ]


FENCED = "Fenced"
"""The Sid of the statement of `bucket_fence`."""


def bucket_fence(bucket: str) -> Statement:
    """Deny everybody to write to a lost region's bucket, or to let it replicate (`operations.moving.fencing`)."""
    return deny(
        FENCED,
        [
            "s3:DeleteObject",
            "s3:DeleteObjectTagging",
            "s3:DeleteObjectVersion",
            "s3:PutObject",
            "s3:PutObjectTagging",
            "s3:PutReplicationConfiguration",
            "s3:RestoreObject",
        ],
        [bucket, f"{bucket}/*"],
        principal="*",
    )


def deployment_bucket_writers(site: Site) -> dict[str, list[str]]:
    """Return those whom the deployment bucket's policy names, as :func:`deployment_bucket_statements` takes them."""
    writers = (named.FUNCTION_ROLE, named.STATE_MACHINE_ROLE, named.WORKER_ROLE)
    return {
        "roles": [site.role(role) for role in writers],
        # Of every region, because each may become the primary.
        "replication": [
            site.role(named.REPLICATION_ROLE, region) for region in sorted(site.config.all_regions)
        ],
        "operators": list(site.config.access.operators),
    }


def _only(
    sid: str, actions: Sequence[str], bucket: str, prefixes: Sequence[str], principals: Sequence[str]
) -> Statement:
    return deny(
        sid,
        actions,
        [f"{bucket}/{prefix}*" for prefix in prefixes],
        condition={"ArnNotLike": {"aws:PrincipalArn": list(principals)}},
        principal="*",
    )


def log_bucket_statements(log_bucket: str, source: str, account: str, prefix: str) -> list[Statement]:
    """Let the logging service write the access logs of ``source`` under ``prefix``, and nothing else.

    Amazon S3 User Guide, "Enabling Amazon S3 server access logging", "Permissions for log delivery".
    """
    return [
        *tls_only_bucket(log_bucket),
        allow(
            "AccessLogDelivery",
            ["s3:PutObject"],
            [f"{log_bucket}/{prefix}*"],
            principal={"Service": "logging.s3.amazonaws.com"},
            condition={
                "StringEquals": {"aws:SourceAccount": account},
                "ArnLike": {"aws:SourceArn": source},
            },
        ),
    ]


def alarm_topic_statements(topic: str, alarms: str, account: str) -> list[Statement]:
    """Let this account's alarms publish, only over TLS.

    CloudWatch User Guide, "Using Amazon CloudWatch alarms". The pattern ``alarms`` fits the ARNs of the alarms.
    """
    return [
        tls_only(["sns:Publish"], [topic]),
        allow(
            "Alarms",
            ["sns:Publish"],
            [topic],
            principal={"Service": "cloudwatch.amazonaws.com"},
            condition={
                "StringEquals": {"aws:SourceAccount": account},
                "ArnLike": {"aws:SourceArn": alarms},
            },
        ),
    ]


def deployment_topic_statements(topic: str) -> list[Statement]:
    """Deny plain HTTP. IAM decides who may publish."""
    return [tls_only(["sns:Publish"], [topic])]


def dead_letter_queue_statements(queue: str) -> list[Statement]:
    """Deny plain HTTP. IAM decides who may send and read (SQS Developer Guide, "Security best practices")."""
    return [tls_only(["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage"], [queue])]


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


def seal_policy_statements(account_root: str) -> list[Statement]:
    """Let IAM of this account decide who uses the HMAC key of the records. No service may use it.

    A caller that can ask this key for a MAC can write records that Regionshift acts on (KMS Developer Guide, "HMAC keys
    in AWS KMS").
    """
    actions = [*(each for each in ADMINISTRATION if "Rotat" not in each), "kms:GenerateMac", "kms:VerifyMac"]
    return [allow("AccountByIam", actions, [KEY_POLICY_RESOURCE], principal={"AWS": account_root})]


def by_iam_alone(account_root: str) -> list[Statement]:
    """Let IAM of this account decide who uses a key. No service may use it on its own.

    The account's root stands for everybody whom IAM policies of this account allow (KMS Developer Guide, "Default key
    policy"). AWS's default has ``kms:*``; this policy lists the actions.
    """
    actions = [*ADMINISTRATION, *USE]
    return [allow("AccountByIam", actions, [KEY_POLICY_RESOURCE], principal={"AWS": account_root})]


def key_policy_statements(
    account_root: str, region: str, account: str, log_groups: Sequence[str], alarms: str
) -> list[Statement]:
    """Let CloudWatch Logs and this account's alarms use the key too, beside :func:`by_iam_alone`.

    Args:
        account_root: the ARN of the account's root.
        region: the key's region.
        account: the account's id.
        log_groups: the ARNs of the log groups under the key (CloudWatch Logs User Guide, "Encrypt log data in
            CloudWatch Logs using AWS KMS").
        alarms: the ARN pattern of the alarms that publish to a topic under the key. See the SNS Developer Guide, "Key
            management", "Enable compatibility between event sources from AWS services and encrypted topics".
    """
    itself = [KEY_POLICY_RESOURCE]
    return [
        *by_iam_alone(account_root),
        allow(
            "Logs",
            [*USE, "kms:DescribeKey"],
            itself,
            principal={"Service": service_host("logs", region)},
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
