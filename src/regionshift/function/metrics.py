"""The count of every action, which the alarms watch."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

NAMESPACE = "Migration"
METRIC = "ActionCount"


def count_action(
    cloudwatch: CloudWatchClient, action: str, status: str, region: str, function: str, now: datetime
) -> None:
    """Add one to ``ActionCount`` for this action and status (``success`` or ``error``) in this region.

    It is counted twice: for all functions of the region together, and, with the dimension ``FunctionName``, for
    this one alone. Two environments of one account share the first series and never the second, which is the
    one that alarms watch. CloudWatch adds no series up by itself (CloudWatch User Guide, "Dimensions").

    Raises:
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: CloudWatch did not take it.
    """
    shared = {"Action": action, "Status": status, "Region": region}
    own = [{**shared, "FunctionName": function}] if function else []
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
            for dimensions in [shared, *own]
        ],
    )
