"""The one message format of everything that is told to people.

JSON, always with all of these: ``event`` (validate, migrate, rollback, deploy, destroy, promote, move or rejoin;
unknown for a refused request that named none of them), ``environment``, ``region``, ``deployment_id``
and ``migration_id`` (a string or null), ``status`` (started, success or error), ``time`` (ISO 8601, UTC), ``summary``
(a sentence), ``link`` (where to read on) and ``counts`` (an object, empty unless something was counted).
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
    """One message; the module's docstring says what each field holds."""

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
        """A line for e-mail: ASCII, short."""
        text = f"[{self.environment}] {self.event} {self.status} in {self.region}"
        return text.encode("ascii", "replace").decode()[:_SUBJECT_LONGEST]

    def to_json(self) -> str:
        """The message's body."""
        content = asdict(self) | {"summary": self.summary[:_SUMMARY_LONGEST], "counts": dict(self.counts)}
        return json.dumps(content)


def send_notification(sns: SNSClient, topic_arn: str, notification: Notification) -> str:
    """Publish it; ``event`` and ``status`` are attributes too, so that a subscription can filter on them.

    Returns:
        The message's id.

    Raises:
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: SNS did not take it.
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
    """The console's page of a log group; empty when there is no group, or no public console."""
    console = PARTITIONS[partition_of(region)].console
    if not log_group or not console:
        return ""
    # The console reads the fragment twice percent-decoded, with '$' for '%'.
    name = quote(quote(log_group, safe=""), safe="").replace("%", "$")
    return f"https://{region}.{console}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{name}"
