"""What the state machine may do. Every argument is an ARN or an ARN pattern."""

from __future__ import annotations

from collections.abc import Sequence

from regionshift.infrastructure.policies.statement import Statement, allow, within


def state_machine_statements(
    worker: str, machine: str, executions: Sequence[str], manifests: str, results: str, account: str
) -> list[Statement]:
    """Call the worker, and run a distributed map over a manifest of its own bucket.

    Step Functions Developer Guide, "IAM policies for using Distributed Map states": a map run is an execution
    of its own, and the reader and writer use the machine's role.

    Args:
        executions: patterns of the machine's executions, and of those of its map runs.
        manifests, results: patterns of the objects that are read and written.
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
    """Let Step Functions deliver its log; CloudWatch Logs cannot scope it (see ``exceptions``).

    Step Functions Developer Guide, "Using CloudWatch Logs to log execution history", "IAM policies".
    """
    return [
        allow(
            "DeliverLogs",
            [
                "logs:CreateLogDelivery",
                "logs:DeleteLogDelivery",
                "logs:DescribeLogGroups",
                "logs:DescribeResourcePolicies",
                "logs:GetLogDelivery",
                "logs:ListLogDeliveries",
                "logs:PutResourcePolicy",
                "logs:UpdateLogDelivery",
            ],
            ["*"],
        )
    ]
