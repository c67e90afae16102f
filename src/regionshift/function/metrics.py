"""The count of every action, which the alarms watch."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

NAMESPACE = "Migration"
METRIC = "ActionCount"


def count_action(cloudwatch: CloudWatchClient, action: str, status: str, region: str, now: datetime) -> None:
    """Add one to ``ActionCount`` for this action and status (``success`` or ``error``) in this region.

    Raises:
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: CloudWatch did not take it.
    """
    dimensions = {"Action": action, "Status": status, "Region": region}
    cloudwatch.put_metric_data(
        Namespace=NAMESPACE,
        MetricData=[
            {
                "MetricName": METRIC,
                "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
                "Timestamp": now,
                "Value": 1,
                "Unit": "Count",
            }
        ],
    )
