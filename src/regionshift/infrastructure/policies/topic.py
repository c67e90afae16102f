"""The policies of the topics and of the dead-letter queue."""

from __future__ import annotations

from regionshift.infrastructure.policies.statement import Statement, allow, tls_only


def alarm_topic_statements(topic: str, alarms: str, account: str) -> list[Statement]:
    """This account's alarms may publish, over TLS only.

    CloudWatch User Guide, "Using Amazon CloudWatch alarms"; the pattern ``alarms`` is an alarm's ARN.
    """
    return [
        tls_only(["sns:Publish"], [topic]),
        allow(
            "Alarms",
            ["sns:Publish"],
            [topic],
            principal={"Service": "cloudwatch.amazonaws.com"},
            condition={
                "StringEquals": {"aws:SourceAccount": account},
                "ArnLike": {"aws:SourceArn": alarms},
            },
        ),
    ]


def deployment_topic_statements(topic: str, publisher: str) -> list[Statement]:
    """The function's role ``publisher`` may publish, over TLS only."""
    return [
        tls_only(["sns:Publish"], [topic]),
        allow("Function", ["sns:Publish"], [topic], principal={"AWS": publisher}),
    ]


def dead_letter_queue_statements(queue: str) -> list[Statement]:
    """No dead letter over plain HTTP; who may send and read is up to IAM (SQS Developer Guide, "Security best
    practices")."""
    return [tls_only(["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage"], [queue])]
