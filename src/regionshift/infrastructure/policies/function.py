"""The rights of the function: statements on the resources of its own region. Every argument is an ARN."""

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
    """List, read, write and tag the deployment bucket, see its configuration, and undo what a migration wrote.

    Versions of migration records are never deleted: a rollback needs them. The function cannot change what the command
    keeps for itself in the bucket.
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
    """Use the region's key, only through ``services`` (``s3.eu-west-1.amazonaws.com``).

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
    """Use the key as above, and see its rotation, which ``validate`` checks."""
    return [
        *key_statements(key, services),
        allow("SeeKey", ["kms:DescribeKey", "kms:GetKeyRotationStatus"], [key]),
    ]


def seal_statements(key: str) -> list[Statement]:
    """Seal the records of migrations and check their seals. ``key`` is an HMAC key, which only makes MACs."""
    return [allow("SealRecords", ["kms:GenerateMac"], [key])]


def parameter_statements(own: str) -> list[Statement]:
    """Read the configuration ``own``, and never change it.

    The application's secrets beside it stay closed: the function only gets their names.
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
    """Do the same for a configuration in Secrets Manager."""
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
    """Write to the groups, and create none: such a group would have no key and no retention."""
    streams = [f"{group}:log-stream:*" for group in log_groups]
    return [
        allow("UseStreams", on_streams, _with_contents(log_groups)),
        allow("WriteLogs", ["logs:PutLogEvents"], streams),
    ]


def log_statements(log_groups: Sequence[str]) -> list[Statement]:
    """Write as above, and see that the groups answer, which ``validate`` checks.

    One statement for all groups: their names are long, and the inline policies of a role have 10,240 characters
    together.
    """
    return cloudwatch_logs_statements(
        log_groups, on_streams=("logs:CreateLogStream", "logs:DescribeLogStreams")
    )


def topic_statements(topic: str) -> list[Statement]:
    """Publish to the deployment topic and see that it exists."""
    return [allow("Notify", ["sns:GetTopicAttributes", "sns:Publish"], [topic])]


def state_machine_statements(machine: str) -> list[Statement]:
    """Start a migration, and see whether one runs. The rights of the state machine's own role and of the worker limit
    what it can do.
    """
    executions = machine.replace(":stateMachine:", ":execution:") + ":*"
    return [
        allow("StartMigrations", ["states:StartExecution"], [machine]),
        allow("SeeMigrations", ["states:DescribeExecution"], [executions]),
    ]


def queue_statements(queue: str) -> list[Statement]:
    """Let Lambda put dead letters there, with the function's role (Lambda Developer Guide, "Capturing records of
    asynchronous invocations").
    """
    return [allow("DeadLetters", ["sqs:SendMessage"], [queue])]


def tracing_statements() -> list[Statement]:
    """Send traces. X-Ray does not support resources here (see ``WITHOUT_RESOURCE``)."""
    return [allow("Trace", ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], _ANY)]


def metrics_statements() -> list[Statement]:
    """Count actions in our namespace only. CloudWatch supports no other limit (see ``WITHOUT_RESOURCE``)."""
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
    """Let Lambda place the function in a VPC. `interface_removal_statements` has the rights to remove it.

    Args:
        interfaces: the ARN pattern of the region's network interfaces.
        subnets, security_groups: the ARNs of the function's subnets and security groups.
    """
    return [
        allow("CreateInterfaces", ["ec2:CreateNetworkInterface"], [interfaces, *subnets, *security_groups])
    ]


def interface_removal_statements(interfaces: str) -> list[Statement]:
    """Let Lambda list and delete its network interfaces, also after the function is gone.

    Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC": lists need the resource
    ``*``. "If you don't specify a resource ID for DeleteNetworkInterface in the execution role, your function may not
    be able to access the VPC. Either specify a unique resource ID, or include all resource IDs", as ``…:*/*``. Lambda
    checks this before an interface exists: a role with ``…:network-interface/*`` was refused
    (hashicorp/terraform-provider-aws issue 20698). The action can delete nothing but interfaces.

    Args:
        interfaces: the ARN pattern of the region's network interfaces.
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
    """Return each group without and with its contents (CloudWatch Logs User Guide, "Overview of managing access
    permissions", "Resources and operations").
    """
    return [named for group in log_groups for named in (group, f"{group}:*")]
