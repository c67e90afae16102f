"""What the replication role of a source bucket may do. Every argument is an ARN or a region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regionshift.infrastructure.policies.statement import Statement, allow, within


@dataclass(frozen=True)
class ReplicationEnd:
    """One bucket of a replication: its region, its ARN and the ARN of the key its objects are under."""

    region: str
    bucket: str
    key: str


def replication_statements(
    source: ReplicationEnd, destinations: Sequence[ReplicationEnd], account: str
) -> list[Statement]:
    """Read versions of the source and write replicas in the destinations, each under its own key.

    Amazon S3 User Guide, "Setting up permissions for live replication" and "Replicating encrypted objects":
    with an S3 Bucket Key the KMS encryption context is the bucket's ARN, not the object's, and the destination's key
    must be usable for decryption too, by which S3 verifies its bucket key. The destinations
    share one statement: with thirty regions one each would pass the 10,240 characters of a role's inline
    policies (IAM User Guide, "IAM and AWS STS quotas").
    """
    return [
        allow(
            "SeeSource",
            ["s3:GetReplicationConfiguration", "s3:ListBucket"],
            [source.bucket],
            condition=within(account),
        ),
        allow(
            "ReadSource",
            [
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionForReplication",
                "s3:GetObjectVersionTagging",
            ],
            [f"{source.bucket}/*"],
            condition=within(account),
        ),
        allow(
            "WriteReplicas",
            ["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"],
            [f"{end.bucket}/*" for end in destinations],
            condition=within(account),
        ),
        _key("DecryptSource", ["kms:Decrypt"], [source]),
        _key("EncryptReplicas", ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"], destinations),
    ]


def _key(sid: str, actions: Sequence[str], ends: Sequence[ReplicationEnd]) -> Statement:
    return allow(
        sid,
        actions,
        [end.key for end in ends],
        condition={
            "StringEquals": {
                "kms:ViaService": [f"s3.{end.region}.amazonaws.com" for end in ends],
                "kms:EncryptionContext:aws:s3:arn": [end.bucket for end in ends],
            }
        },
    )
