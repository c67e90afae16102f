"""``connectivity``: each service the function needs answers it.

An answer that refuses us is no connection that we could work with, and is told apart from no answer at all.
CloudWatch's metrics have no call that a narrow role may make without writing; the count of this very
action shows whether it can be reached, and its failure is in the function's log.
"""

from __future__ import annotations

from collections.abc import Sequence

from regionshift.function.checks.subject import CheckAnswer, Subject, ask
from regionshift.function.configuration import ConfigurationError


def check_connectivity(subject: Subject) -> Sequence[CheckAnswer]:
    """One question to each service."""
    findings = [_storage(subject), _store(subject), _topics(subject)]
    if subject.variables.validation_log_group:
        findings.append(_logs(subject))
    if subject.variables.key_arn:
        findings.append(_keys(subject))
    return tuple(findings)


def _storage(subject: Subject) -> CheckAnswer:
    bucket = subject.variables.deployment_bucket
    return ask(
        f"s3 answers (HeadBucket {bucket})", lambda: subject.clients.s3.head_bucket(Bucket=bucket), _answered
    )


def _store(subject: Subject) -> CheckAnswer:
    asked = f"{subject.variables.config_store} answers (the configuration)"
    try:
        subject.configuration()
    except ConfigurationError as problem:
        # What it says of the content is another check's matter: the service did answer.
        return CheckAnswer(asked, "answered" if problem.reached else str(problem), problem.reached)
    return CheckAnswer(asked, "answered", True)


def _topics(subject: Subject) -> CheckAnswer:
    topic = subject.variables.notification_topic
    return ask(
        f"sns answers (GetTopicAttributes {topic})",
        lambda: subject.clients.sns.get_topic_attributes(TopicArn=topic),
        _answered,
    )


def _logs(subject: Subject) -> CheckAnswer:
    group = subject.variables.validation_log_group
    return ask(
        f"logs answers (DescribeLogStreams {group})",
        lambda: subject.clients.logs.describe_log_streams(logGroupName=group, limit=1),
        _answered,
    )


def _keys(subject: Subject) -> CheckAnswer:
    key = subject.variables.key_arn
    return ask(
        f"kms answers (DescribeKey {key})", lambda: subject.clients.kms.describe_key(KeyId=key), _answered
    )


def _answered(_reply: object) -> tuple[bool, str]:
    return True, "answered"
