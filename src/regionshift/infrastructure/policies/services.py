"""The rights of the roles of AWS's own services: replication, the state machine, flow logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regionshift.infrastructure.policies.statement import LOG_DELIVERY, USE_KEY, Statement, allow, within
from regionshift.settings.regions import service_host

READ_SOURCE = (
    "s3:GetObjectVersionAcl",
    "s3:GetObjectVersionForReplication",
    "s3:GetObjectVersionTagging",
)
WRITE_REPLICAS = ("s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags")


@dataclass(frozen=True)
class ReplicationEnd:
    """One bucket of a replication: its region, its ARN, and the ARN of the key of its objects."""

    region: str
    bucket: str
    key: str


def replication_statements(
    source: ReplicationEnd, destinations: Sequence[ReplicationEnd], account: str
) -> list[Statement]:
    """Read versions of the source and write replicas to the destinations, each under its own key.

    Amazon S3 User Guide, "Setting up permissions for live replication" and "Replicating encrypted objects": with an S3
    Bucket Key the KMS encryption context is the bucket's ARN, not the object's. S3 also decrypts with the destination's
    key, to verify its bucket key. The destinations share one statement: with thirty regions, one statement each would
    exceed the 10,240 characters of a role's inline policies (IAM User Guide, "IAM and AWS STS quotas").
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
            READ_SOURCE,
            [f"{source.bucket}/*"],
            condition=within(account),
        ),
        allow(
            "WriteReplicas",
            WRITE_REPLICAS,
            [f"{end.bucket}/*" for end in destinations],
            condition=within(account),
        ),
        _through_key("DecryptSource", ["kms:Decrypt"], [source]),
        _through_key("EncryptReplicas", USE_KEY, destinations),
    ]


def _through_key(sid: str, actions: Sequence[str], ends: Sequence[ReplicationEnd]) -> Statement:
    return allow(
        sid,
        actions,
        [end.key for end in ends],
        condition={
            "StringEquals": {
                "kms:ViaService": [service_host("s3", end.region) for end in ends],
                "kms:EncryptionContext:aws:s3:arn": [end.bucket for end in ends],
            }
        },
    )


def state_machine_statements(
    worker: str, machine: str, executions: Sequence[str], manifests: str, results: str, account: str
) -> list[Statement]:
    """Call the worker, and run a distributed map over a manifest of its own bucket.

    Step Functions Developer Guide, "IAM policies for using Distributed Map states": a map run is an execution of its
    own, and its reader and writer use the state machine's role.

    Args:
        executions: the patterns of the state machine's executions, and of its map runs.
        manifests, results: the patterns of the objects that are read and written.
    """
    return [
        allow("CallWorker", ["lambda:InvokeFunction"], [worker]),
        allow("StartMapRuns", ["states:StartExecution"], [machine]),
        allow("FollowMapRuns", ["states:DescribeExecution", "states:StopExecution"], executions),
        allow("ReadManifest", ["s3:GetObject"], [manifests], condition=within(account)),
        allow(
            "WriteMapResults",
            ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"],
            [results],
            condition=within(account),
        ),
    ]


def log_delivery_statements() -> list[Statement]:
    """Let Step Functions deliver its log. CloudWatch Logs supports no resource here (see ``WITHOUT_RESOURCE``).

    Step Functions Developer Guide, "Using CloudWatch Logs to log execution history", "IAM policies".
    """
    return [allow("DeliverLogs", LOG_DELIVERY, ["*"])]


def flow_log_statements(log_group: str, every_group: str) -> list[Statement]:
    """Write to one log group (VPC User Guide, "IAM role for publishing flow logs to CloudWatch Logs").

    The program creates the group, so the role cannot. ``every_group`` is the ARN pattern of the region's groups,
    because a list of groups names none.
    """
    return [
        allow("ListGroups", ["logs:DescribeLogGroups"], [every_group]),
        allow("ListStreams", ["logs:DescribeLogStreams"], [log_group, f"{log_group}:*"]),
        allow("CreateStreams", ["logs:CreateLogStream"], [log_group, f"{log_group}:*"]),
        allow("WriteLogs", ["logs:PutLogEvents"], [f"{log_group}:log-stream:*"]),
    ]
