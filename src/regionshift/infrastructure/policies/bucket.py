"""The policies of the buckets."""

from __future__ import annotations

from regionshift.infrastructure.policies.statement import Statement, allow, tls_only


def tls_only_bucket(bucket: str) -> list[Statement]:
    """Nothing of the bucket with ARN ``bucket`` over plain HTTP."""
    return [tls_only(["s3:*"], [bucket, f"{bucket}/*"])]


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
