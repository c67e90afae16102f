"""Where a policy cannot name its resource or single actions, and why. Tests hold every policy to it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

WITHOUT_RESOURCE: Mapping[str, str] = MappingProxyType(
    {
        "xray:PutTraceSegments": "X-Ray has no resource type for it (Service Authorization Reference)",
        "xray:PutTelemetryRecords": "X-Ray has no resource type for it (Service Authorization Reference)",
        "cloudwatch:PutMetricData": (
            "CloudWatch has no resource type for it; it is bound by cloudwatch:namespace"
            " (Service Authorization Reference)"
        ),
        "ec2:DescribeNetworkInterfaces": "EC2 lists have no resource type (Service Authorization Reference)",
        "ec2:DescribeSubnets": "EC2 lists have no resource type (Service Authorization Reference)",
        "ssm:DescribeParameters": "Systems Manager lists names as a whole (Service Authorization Reference)",
        "secretsmanager:ListSecrets": "Secrets Manager has no resource type for it (the same)",
        **dict.fromkeys(
            (
                "logs:CreateLogDelivery",
                "logs:DeleteLogDelivery",
                "logs:DescribeLogGroups",
                "logs:DescribeResourcePolicies",
                "logs:GetLogDelivery",
                "logs:ListLogDeliveries",
                "logs:PutResourcePolicy",
                "logs:UpdateLogDelivery",
            ),
            "log delivery has no resource type (Step Functions Developer Guide, 'Logging')",
        ),
    }
)
"""Actions of identity policies that AWS cannot scope to a resource, each with its reason."""

KEY_POLICY_RESOURCE = "*"
"""In a key policy the resource ``*`` is the key itself (KMS Developer Guide, "Key policies in AWS KMS")."""

WILDCARD_DENIES: Mapping[str, str] = MappingProxyType(
    {
        "s3:*": (
            "only in the refusal of plain HTTP: a wildcard in a Deny narrows, and a list would leave gaps"
            " (Amazon S3 User Guide, 'Security best practices')"
        ),
    }
)
"""Wildcard actions, all of them in a Deny."""
