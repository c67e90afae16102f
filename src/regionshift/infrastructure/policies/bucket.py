"""The policies of the buckets."""

from __future__ import annotations

from collections.abc import Sequence

from regionshift.infrastructure.policies.statement import Statement, allow, deny, tls_only


def tls_only_bucket(bucket: str) -> list[Statement]:
    """Nothing of the bucket with ARN ``bucket`` over plain HTTP."""
    return [tls_only(["s3:*"], [bucket, f"{bucket}/*"])]


_RECORDS = ("migrations/", "rollbacks/")
_OF_THE_COMMAND = ("artifacts/", "state/")
_WRITE = ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObject")
_REPLICATE = ("s3:ReplicateDelete", "s3:ReplicateObject")


def deployment_bucket_statements(
    bucket: str, roles: Sequence[str], replication: Sequence[str], operators: Sequence[str]
) -> list[Statement]:
    """As :func:`tls_only_bucket`; and with ``operators``, records and what is the command's own keep to their writers.

    Whoever has ``s3:PutObject`` on the whole bucket is refused there. ``aws:PrincipalArn`` of a session is its role
    (IAM User Guide, "AWS global condition context keys"). The policy itself is not protected: who may put bucket
    policies can always let others in again, so nobody is locked out for good.

    Args:
        roles: ARNs of the environment's roles that write records. replication: of those that write replicas.
        operators: ARNs or patterns of who runs the command; nothing is refused without them.
    """
    if not operators:
        return tls_only_bucket(bucket)
    return [
        *tls_only_bucket(bucket),
        _only("RecordsOfMigrations", _WRITE, bucket, _RECORDS, [*roles, *operators]),
        _only("CommandsOwn", _WRITE, bucket, _OF_THE_COMMAND, operators),
        _only("Replicas", _REPLICATE, bucket, (*_RECORDS, *_OF_THE_COMMAND), replication),
    ]


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
    """The logging service may write the access logs of ``source`` under ``prefix``, and nothing else.

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
