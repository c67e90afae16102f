"""What the function may do: statements scoped to its own region's resources. Every argument is an ARN."""

from __future__ import annotations

from collections.abc import Sequence

from regionshift.infrastructure.policies.statement import (
    READ_OBJECTS,
    WRITE_OBJECTS,
    Statement,
    allow,
    deny,
    within,
)

METRIC_NAMESPACE = "Migration"
SEE_BUCKET = (
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketVersioning",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
    "s3:GetReplicationConfiguration",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:ListBucketVersions",
)
_ANY = ["*"]


def s3_statements(bucket: str, account: str) -> list[Statement]:
    """List, read, write and tag the deployment bucket, see how it is configured, take back what was written.

    Versions of the records of migrations are never deleted: they are the way back. What the command keeps for
    itself in the bucket is not the function's to change.
    """
    return [
        allow(
            "SeeBucket",
            SEE_BUCKET,
            [bucket],
            condition=within(account),
        ),
        allow(
            "UseObjects",
            sorted({*READ_OBJECTS, *WRITE_OBJECTS}),
            [f"{bucket}/*"],
            condition=within(account),
        ),
        deny(
            "KeepRecords",
            ["s3:DeleteObjectVersion"],
            [f"{bucket}/migrations/*", f"{bucket}/rollbacks/*"],
        ),
        deny(
            "KeepProgramsOwn",
            ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObject"],
            [f"{bucket}/artifacts/*", f"{bucket}/state/*"],
        ),
    ]


def key_statements(key: str, services: Sequence[str]) -> list[Statement]:
    """Use the region's key through ``services`` only (``s3.eu-west-1.amazonaws.com``).

    KMS Developer Guide, "kms:ViaService".
    """
    return [
        allow(
            "UseKey",
            ["kms:Decrypt", "kms:GenerateDataKey"],
            [key],
            condition={"StringEquals": {"kms:ViaService": list(services)}},
        )
    ]


def own_key_statements(key: str, services: Sequence[str]) -> list[Statement]:
    """The same, and see that the key turns: ``validate`` does."""
    return [
        *key_statements(key, services),
        allow("SeeKey", ["kms:DescribeKey", "kms:GetKeyRotationStatus"], [key]),
    ]


def seal_statements(key: str) -> list[Statement]:
    """Seal the records of migrations and check their seals: the HMAC key ``key`` makes MACs and nothing else."""
    return [allow("SealRecords", ["kms:GenerateMac"], [key])]


def parameter_statements(own: str) -> list[Statement]:
    """Read the configuration ``own``, and never change what one is configured by.

    Not the application's secrets beside it: their values are for the application, and only their names are told.
    """
    return [
        allow("ReadConfiguration", ["ssm:GetParameter"], [own]),
        deny(
            "KeepConfiguration",
            [
                "ssm:AddTagsToResource",
                "ssm:DeleteParameter",
                "ssm:DeleteParameters",
                "ssm:LabelParameterVersion",
                "ssm:PutParameter",
                "ssm:RemoveTagsFromResource",
                "ssm:UnlabelParameterVersion",
            ],
            [own],
        ),
    ]


def secret_statements(own: str) -> list[Statement]:
    """The same for a configuration that is kept in Secrets Manager."""
    return [
        allow(
            "ReadConfiguration",
            ["secretsmanager:GetSecretValue"],
            [own],
        ),
        deny(
            "KeepConfiguration",
            [
                "secretsmanager:DeleteResourcePolicy",
                "secretsmanager:DeleteSecret",
                "secretsmanager:PutResourcePolicy",
                "secretsmanager:PutSecretValue",
                "secretsmanager:TagResource",
                "secretsmanager:UntagResource",
                "secretsmanager:UpdateSecret",
                "secretsmanager:UpdateSecretVersionStage",
            ],
            [own],
        ),
    ]


def cloudwatch_logs_statements(
    log_groups: Sequence[str], *, on_streams: Sequence[str] = ("logs:CreateLogStream",)
) -> list[Statement]:
    """Write to the groups, and create none: one made that way has neither key nor retention."""
    streams = [f"{group}:log-stream:*" for group in log_groups]
    return [
        allow("UseStreams", on_streams, _with_contents(log_groups)),
        allow("WriteLogs", ["logs:PutLogEvents"], streams),
    ]


def log_statements(log_groups: Sequence[str]) -> list[Statement]:
    """The same, and ask whether they answer: ``validate`` does.

    In one statement: names of groups are long, and a role has 10,240 characters for all of its inline policies.
    """
    return cloudwatch_logs_statements(
        log_groups, on_streams=("logs:CreateLogStream", "logs:DescribeLogStreams")
    )


def topic_statements(topic: str) -> list[Statement]:
    """Publish to the deployment topic and see that it is there."""
    return [allow("Notify", ["sns:GetTopicAttributes", "sns:Publish"], [topic])]


def state_machine_statements(machine: str, executions: str) -> list[Statement]:
    """Start a migration from elsewhere, and see whether one runs; the machine's own role and the worker's
    bound what it can do.

    Args:
        executions: pattern of the machine's executions.
    """
    return [
        allow("StartMigrations", ["states:StartExecution"], [machine]),
        allow("SeeMigrations", ["states:DescribeExecution"], [executions]),
    ]


def queue_statements(queue: str) -> list[Statement]:
    """Lambda puts dead letters there in the name of the function's role (Lambda Developer Guide, "Capturing
    records of asynchronous invocations")."""
    return [allow("DeadLetters", ["sqs:SendMessage"], [queue])]


def tracing_statements() -> list[Statement]:
    """Send traces; X-Ray cannot scope it (see ``WITHOUT_RESOURCE``)."""
    return [allow("Trace", ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], _ANY)]


def metrics_statements() -> list[Statement]:
    """Count actions in our namespace only; CloudWatch cannot scope it otherwise (see ``WITHOUT_RESOURCE``)."""
    return [
        allow(
            "Count",
            ["cloudwatch:PutMetricData"],
            _ANY,
            condition={"StringEquals": {"cloudwatch:namespace": METRIC_NAMESPACE}},
        )
    ]


def network_interface_statements(
    interfaces: str, subnets: Sequence[str], security_groups: Sequence[str]
) -> list[Statement]:
    """What Lambda needs of the role to place the function in a VPC, beside what takes the interfaces away.

    Args:
        interfaces: ARN pattern of the region's network interfaces.
        subnets, security_groups: ARNs of where the function stands.
    """
    return [
        allow("CreateInterfaces", ["ec2:CreateNetworkInterface"], [interfaces, *subnets, *security_groups])
    ]


def interface_removal_statements(interfaces: str) -> list[Statement]:
    """What Lambda needs of the role as long as there are interfaces of it, after the function is gone too.

    Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC": lists must be on ``*``.
    "If you don't specify a resource ID for DeleteNetworkInterface in the execution role, your function may not be able
    to access the VPC. Either specify a unique resource ID, or include all resource IDs", as ``…:*/*``: Lambda asks for
    it before there is an interface (so was a role refused that named ``…:network-interface/*``: hashicorp/
    terraform-provider-aws issue 20698). Nothing but interfaces can be deleted by it.

    Args:
        interfaces: ARN pattern of the region's network interfaces.
    """
    any_id = f"{interfaces.rpartition(':')[0]}:*/*"
    return [
        allow("SeeInterfaces", ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"], _ANY),
        allow(
            "UseInterfaces",
            ["ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"],
            [interfaces],
        ),
        allow("RemoveInterfaces", ["ec2:DeleteNetworkInterface"], [any_id]),
    ]


def _with_contents(log_groups: Sequence[str]) -> list[str]:
    """A group is named with and without what it holds (CloudWatch Logs User Guide, "Overview of managing access
    permissions", "Resources and operations")."""
    return [named for group in log_groups for named in (group, f"{group}:*")]
