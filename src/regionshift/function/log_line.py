"""A line in the validation or the deployment log group.

The groups belong to the program: no role may create one. A stream is made when the first line finds none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient


def stream_name(own_stream: str, request_id: str, now: datetime) -> str:
    """The stream's name: that of the function's own stream, so that both can be read side by side.

    It names one execution environment, so no two write to it at once. Where there is none,
    ``YYYY/MM/DD/<request id>``. (Stream names may hold neither ':' nor '*'.)
    """
    name = own_stream or f"{now:%Y/%m/%d}/{request_id or 'direct'}"
    return name.replace(":", "-").replace("*", "-")


def write_line(
    logs: CloudWatchLogsClient, group: str, stream: str, line: Mapping[str, Any], now: datetime
) -> None:
    """Append ``line`` as JSON.

    Raises:
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: CloudWatch Logs did not take it.
    """
    event = {"timestamp": int(now.timestamp() * 1000), "message": json.dumps(line)}
    try:
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])  # type: ignore[list-item]
    except logs.exceptions.ResourceNotFoundException:
        _make_stream(logs, group, stream)
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])  # type: ignore[list-item]


def _make_stream(logs: CloudWatchLogsClient, group: str, stream: str) -> None:
    try:
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    except logs.exceptions.ResourceAlreadyExistsException:
        # Made meanwhile by another call of the same day: just as good.
        return
