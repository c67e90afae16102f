"""What the VPC's flow logs may do."""

from __future__ import annotations

from regionshift.infrastructure.policies.statement import Statement, allow


def flow_log_statements(log_group: str, every_group: str) -> list[Statement]:
    """Write to one log group (VPC User Guide, "IAM role for publishing flow logs to CloudWatch Logs").

    Creating groups is left out: the program owns the group. ``every_group`` is the ARN pattern of the
    region's groups, because a list of groups names none.
    """
    return [
        allow("ListGroups", ["logs:DescribeLogGroups"], [every_group]),
        allow("ListStreams", ["logs:DescribeLogStreams"], [log_group, f"{log_group}:*"]),
        allow("CreateStreams", ["logs:CreateLogStream"], [log_group, f"{log_group}:*"]),
        allow("WriteLogs", ["logs:PutLogEvents"], [f"{log_group}:log-stream:*"]),
    ]
