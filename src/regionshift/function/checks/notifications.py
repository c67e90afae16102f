"""``notifications``: the topic is encrypted and takes a message from us, the one that says we started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regionshift.function.checks.subject import CheckAnswer, Subject, ask


def check_notifications(subject: Subject) -> Sequence[CheckAnswer]:
    """Ask the topic about itself, then publish."""
    topic, sns = subject.variables.notification_topic, subject.clients.sns
    return (
        ask(
            f"sns:GetTopicAttributes {topic}: encrypted with a key",
            lambda: sns.get_topic_attributes(TopicArn=topic),
            _is_encrypted,
        ),
        ask(
            f"sns:Publish {topic}: accepted",
            subject.announce,
            lambda message_id: (bool(message_id), f"accepted as {message_id}"),
        ),
    )


def _is_encrypted(reply: Mapping[str, Any]) -> tuple[bool, str]:
    key = reply["Attributes"].get("KmsMasterKeyId", "")
    return bool(key), f"encrypted with {key}" if key else "not encrypted"
