"""SQS queues and their policies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from regionshift.aws.resource_finders import unless_gone
from regionshift.local.provider.conversions import from_texts, to_texts
from regionshift.local.provider.failures import Taken
from regionshift.local.provider.fields import Field, FieldType, InvalidInput
from regionshift.local.provider.handler import Context, Handler, TagCalls, Update
from regionshift.local.provider.wire import Properties

_FIFO = ".fifo"
_ATTRIBUTES = {
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "maxMessageSize": "MaximumMessageSize",
    "delaySeconds": "DelaySeconds",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "policy": "Policy",
    "redrivePolicy": "RedrivePolicy",
    "redriveAllowPolicy": "RedriveAllowPolicy",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "contentBasedDeduplication": "ContentBasedDeduplication",
}


def _seconds(default: int, minimum: int, maximum: int) -> Field:
    return Field(FieldType.INTEGER, default=default, minimum=minimum, maximum=maximum)


class QueueHandler(Handler):
    """A queue. A new name or FIFO setting replaces it. Limits: SQS API Reference, CreateQueue."""

    token = "aws:sqs/queue:Queue"
    taggable = True
    tag_calls = TagCalls("sqs", "QueueUrl", put="tag_queue", take="untag_queue", form=dict)
    name = "name"
    name_limit = 80
    fields = {
        "name": Field(required=True, replaces=True, pattern=r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo"),
        "fifoQueue": Field(FieldType.FLAG, default=False, replaces=True),
        "contentBasedDeduplication": Field(FieldType.FLAG, default=False),
        "visibilityTimeoutSeconds": _seconds(30, 0, 43_200),
        "messageRetentionSeconds": _seconds(345_600, 60, 1_209_600),
        "delaySeconds": _seconds(0, 0, 900),
        "receiveWaitTimeSeconds": _seconds(0, 0, 20),
        "maxMessageSize": Field(FieldType.INTEGER, computed=True, minimum=1024, maximum=1_048_576),
        "policy": Field(FieldType.POLICY, computed=True),
        "redrivePolicy": Field(FieldType.DOCUMENT, computed=True),
        "redriveAllowPolicy": Field(FieldType.DOCUMENT, computed=True),
        "kmsMasterKeyId": Field(),
        "kmsDataKeyReusePeriodSeconds": Field(FieldType.INTEGER, computed=True, minimum=60, maximum=86_400),
        "sqsManagedSseEnabled": Field(FieldType.FLAG, computed=True),
    }
    outputs = ("arn", "url")

    def mistakes(self, inputs: Properties) -> Iterator[InvalidInput]:
        name = inputs["name"]
        if isinstance(name, str) and name.endswith(_FIFO) != inputs["fifoQueue"]:
            yield InvalidInput("name", f"must end in {_FIFO} for a FIFO queue, and only then")
        if inputs.get("kmsMasterKeyId") is not None and inputs.get("sqsManagedSseEnabled") is True:
            yield InvalidInput("sqsManagedSseEnabled", "excludes kmsMasterKeyId")

    def create(self, context: Context, inputs: Properties) -> str:
        sqs = context.client("sqs")
        if unless_gone(sqs.get_queue_url, QueueName=inputs["name"]) is not None:
            raise Taken(f"the queue {inputs['name']}", context.region)  # SQS would return an identical queue
        fifo = {"FifoQueue": "true"} if inputs["fifoQueue"] else {}
        made = sqs.create_queue(
            QueueName=inputs["name"], Attributes={**_texts(inputs), **fifo}, tags=context.tags(inputs)
        )
        return str(made["QueueUrl"])

    def read(self, context: Context, identity: str) -> Properties | None:
        sqs = context.client("sqs")
        found = unless_gone(sqs.get_queue_attributes, QueueUrl=identity, AttributeNames=["All"])
        if found is None:
            return None
        attributes = found["Attributes"]
        return {
            **from_texts(attributes, _ATTRIBUTES, self.fields),
            "arn": attributes["QueueArn"],
            "url": identity,
            "name": attributes["QueueArn"].rsplit(":", 1)[-1],
            "fifoQueue": attributes.get("FifoQueue", "false") == "true",
            "tags": _tags(sqs, identity),
        }

    def update(self, context: Context, identity: str, change: Update) -> None:
        texts = to_texts(change.news, _ATTRIBUTES)
        changed = {key: texts.get(key, "") for name, key in _ATTRIBUTES.items() if change.any_of(name)}
        if changed:
            context.client("sqs").set_queue_attributes(QueueUrl=identity, Attributes=changed)

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("sqs").delete_queue(QueueUrl=identity)


def _texts(inputs: Properties) -> dict[str, str]:
    texts = to_texts(inputs, _ATTRIBUTES)
    if not inputs["fifoQueue"]:
        texts.pop(_ATTRIBUTES["contentBasedDeduplication"], None)  # refused on a plain queue
    return texts


def _tags(sqs: Any, url: str) -> dict[str, str]:
    return dict(sqs.list_queue_tags(QueueUrl=url).get("Tags", {}))


class QueuePolicyHandler(Handler):
    """A queue's policy."""

    token = "aws:sqs/queuePolicy:QueuePolicy"
    fields = {
        "queueUrl": Field(required=True, replaces=True),
        "policy": Field(FieldType.POLICY, required=True),
    }

    def create(self, context: Context, inputs: Properties) -> str:
        self._put(context, inputs["queueUrl"], inputs["policy"])
        return str(inputs["queueUrl"])

    def _put(self, context: Context, url: str, policy: str) -> None:
        context.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})

    def read(self, context: Context, identity: str) -> Properties | None:
        sqs = context.client("sqs")
        found = unless_gone(sqs.get_queue_attributes, QueueUrl=identity, AttributeNames=["Policy"])
        policy = (found or {}).get("Attributes", {}).get("Policy")
        return {"queueUrl": identity, "policy": policy} if policy else None

    def update(self, context: Context, identity: str, change: Update) -> None:
        self._put(context, identity, change.news["policy"])

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        self._put(context, identity, "")


HANDLERS: tuple[Handler, ...] = (QueueHandler(), QueuePolicyHandler())
