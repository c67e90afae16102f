"""SNS and SQS cases."""

from __future__ import annotations

import json

from provider_lab import Case, Lab, Made

from regionshift.local.provider.wire import Properties

_ACCOUNT = "123456789012"


def policy(resource: str, *actions: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{_ACCOUNT}:root"},
        "Action": list(actions),
        "Resource": resource,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def topic(lab: Lab) -> str:
    return lab.create("aws:sns/topic:Topic", {"name": f"{lab.unique}-news"}, "topic").identity


def queue(lab: Lab) -> Made:
    return lab.create("aws:sqs/queue:Queue", {"name": f"{lab.unique}-letters"}, "queue")


def _topic(lab: Lab) -> Properties:
    key = f"arn:aws:kms:{lab.region}:{_ACCOUNT}:key/one"
    return {"name": lab.unique, "kmsMasterKeyId": key, "displayName": "news", "tags": {"Purpose": "news"}}


def _in_clear(lab: Lab, made: Made) -> None:
    lab.client("sns").set_topic_attributes(
        TopicArn=made.identity, AttributeName="KmsMasterKeyId", AttributeValue=""
    )


def _ordered_topic(lab: Lab) -> Properties:
    return {"name": f"{lab.unique}.fifo", "fifoTopic": True, "contentBasedDeduplication": True}


def _topic_policy(lab: Lab) -> Properties:
    arn = topic(lab)
    return {"arn": arn, "policy": policy(arn, "sns:Publish")}


def _open_topic(lab: Lab, made: Made) -> None:
    lab.client("sns").set_topic_attributes(
        TopicArn=made.identity, AttributeName="Policy", AttributeValue=policy("*", "sns:Subscribe")
    )


def _subscription(lab: Lab) -> Properties:
    arn = queue(lab).properties["arn"]
    return {"topic": topic(lab), "protocol": "sqs", "endpoint": arn, "rawMessageDelivery": True}


def _wrapped(lab: Lab, made: Made) -> None:
    lab.client("sns").set_subscription_attributes(
        SubscriptionArn=made.identity, AttributeName="RawMessageDelivery", AttributeValue="false"
    )


def _by_mail(lab: Lab) -> Properties:
    return {"topic": topic(lab), "protocol": "email", "endpoint": "someone@example.com"}


def _queue(lab: Lab) -> Properties:
    return {
        "name": lab.unique,
        "kmsMasterKeyId": f"arn:aws:kms:{lab.region}:{_ACCOUNT}:key/one",
        "messageRetentionSeconds": 1_209_600,
        "tags": {"Purpose": "letters"},
    }


def _forgetful(lab: Lab, made: Made) -> None:
    sqs = lab.client("sqs")
    sqs.set_queue_attributes(QueueUrl=made.identity, Attributes={"MessageRetentionPeriod": "60"})
    sqs.tag_queue(QueueUrl=made.identity, Tags={"Owner": "else"})


def _ordered_queue(lab: Lab) -> Properties:
    return {"name": f"{lab.unique}.fifo", "fifoQueue": True, "contentBasedDeduplication": True}


def _queue_policy(lab: Lab) -> Properties:
    made = queue(lab)
    return {"queueUrl": made.identity, "policy": policy(made.properties["arn"], "sqs:SendMessage")}


def _open_queue(lab: Lab, made: Made) -> None:
    attributes = {"Policy": policy("*", "sqs:ReceiveMessage")}
    lab.client("sqs").set_queue_attributes(QueueUrl=made.identity, Attributes=attributes)


CASES = (
    Case(
        "aws:sns/topic:Topic",
        _topic,
        changes={
            "displayName": None,
            "kmsMasterKeyId": "alias/other",
            "tracingConfig": "Active",
            "signatureVersion": 2,
            "tags": {"Owner": "me"},
        },
        replaces={"name": "other"},
        meddle=_in_clear,
        drifts=frozenset({"kmsMasterKeyId"}),
    ),
    Case("aws:sns/topic:Topic", _ordered_topic, changes={"contentBasedDeduplication": False}),
    Case(
        "aws:sns/topicPolicy:TopicPolicy",
        _topic_policy,
        changes={"policy": policy("*", "sns:Publish", "sns:Subscribe")},
        replaces={"arn": "arn:aws:sns:eu-central-1:123456789012:other"},
        meddle=_open_topic,
        drifts=frozenset({"policy"}),
        outlives="every topic has a policy; the one that SNS starts with is back",
    ),
    Case(
        "aws:sns/topicSubscription:TopicSubscription",
        _subscription,
        changes={
            "rawMessageDelivery": False,
            "filterPolicy": json.dumps({"event": ["deploy"]}),
            "filterPolicyScope": "MessageBody",
            "redrivePolicy": json.dumps({"deadLetterTargetArn": "arn:aws:sqs:eu-central-1:123456789012:q"}),
        },
        replaces={"protocol": "lambda", "topic": "arn:aws:sns:eu-central-1:123456789012:other"},
        meddle=_wrapped,
        drifts=frozenset({"rawMessageDelivery"}),
    ),
    Case(
        "aws:sns/topicSubscription:TopicSubscription",
        _by_mail,
        replaces={"endpoint": "someone.else@example.com"},
    ),
    Case(
        "aws:sqs/queue:Queue",
        _queue,
        changes={
            "visibilityTimeoutSeconds": 60,
            "messageRetentionSeconds": None,
            "kmsMasterKeyId": None,
            "sqsManagedSseEnabled": True,
            "redriveAllowPolicy": json.dumps({"redrivePermission": "denyAll"}),
            "tags": {"Owner": "me"},
        },
        replaces={"name": "other"},
        meddle=_forgetful,
        drifts=frozenset({"messageRetentionSeconds", "tags"}),
    ),
    Case("aws:sqs/queue:Queue", _ordered_queue, changes={"delaySeconds": 5}),
    Case(
        "aws:sqs/queuePolicy:QueuePolicy",
        _queue_policy,
        changes={"policy": policy("*", "sqs:SendMessage", "sqs:ReceiveMessage")},
        replaces={"queueUrl": "https://127.0.0.1/123456789012/other"},
        meddle=_open_queue,
        drifts=frozenset({"policy"}),
    ),
)
