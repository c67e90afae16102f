"""The format of all notifications: a JSON object that always has these fields.

- ``event``: validate, migrate, rollback, deploy, destroy, promote, move or rejoin; unknown for a refused request
  without a valid action;
- ``environment``, ``region``;
- ``deployment_id``, ``migration_id``: a string or null;
- ``status``: started, success or error;
- ``time``: ISO 8601, UTC;
- ``summary``: a sentence;
- ``link``: a page with more;
- ``counts``: an object, which can be empty.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from regionshift.settings.regions import PARTITIONS, partition_of

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

NotificationStatus = Literal["started", "success", "error"]

_SUBJECT_LONGEST = 99  # SNS API Reference, Publish, Subject: printable ASCII, less than 100 characters
_SUMMARY_LONGEST = 1000


@dataclass(frozen=True)
class Notification:
    """One message; the module's docstring describes the fields."""

    event: str
    environment: str
    region: str
    status: NotificationStatus
    time: str
    summary: str
    link: str
    deployment_id: str | None = None
    migration_id: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The subject of an e-mail: short, ASCII."""
        text = f"[{self.environment}] {self.event} {self.status} in {self.region}"
        return text.encode("ascii", "replace").decode()[:_SUBJECT_LONGEST]

    def to_json(self) -> str:
        """Return the body of the message."""
        content = asdict(self) | {"summary": self.summary[:_SUMMARY_LONGEST], "counts": dict(self.counts)}
        return json.dumps(content)


def send_notification(sns: SNSClient, topic_arn: str, notification: Notification) -> str:
    """Publish a notification and return the message's id. Subscriptions can filter by ``event`` and ``status``.

    Raises:
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: SNS did not accept it.
    """
    reply = sns.publish(
        TopicArn=topic_arn,
        Subject=notification.subject,
        Message=notification.to_json(),
        MessageAttributes={
            "event": {"DataType": "String", "StringValue": notification.event},
            "status": {"DataType": "String", "StringValue": notification.status},
        },
    )
    return reply["MessageId"]


def log_group_link(region: str, log_group: str) -> str:
    """Return the URL of a log group in the console; empty without a group or a public console."""
    console = PARTITIONS[partition_of(region)].console
    if not log_group or not console:
        return ""
    # The console percent-decodes the fragment twice, and uses '$' for '%'.
    name = quote(quote(log_group, safe=""), safe="").replace("%", "$")
    return f"https://{region}.{console}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{name}"
