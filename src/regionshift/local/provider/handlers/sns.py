"""SNS topics, their policies and their subscriptions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from regionshift.aws.resource_finders import unless_gone
from regionshift.local.provider.conversions import from_list, from_texts, to_list, to_texts
from regionshift.local.provider.failures import Taken
from regionshift.local.provider.fields import Field, FieldType, InvalidInput
from regionshift.local.provider.handler import Context, Handler, TagCalls, Update
from regionshift.local.provider.wire import Properties

_FIFO = ".fifo"
_TOPIC_ATTRIBUTES = {
    "displayName": "DisplayName",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "policy": "Policy",
    "deliveryPolicy": "DeliveryPolicy",
    "contentBasedDeduplication": "ContentBasedDeduplication",
    "signatureVersion": "SignatureVersion",
    "tracingConfig": "TracingConfig",
}


class TopicHandler(Handler):
    """A topic. A new name or FIFO setting replaces it."""

    token = "aws:sns/topic:Topic"
    taggable = True
    tag_calls = TagCalls("sns", "ResourceArn")
    name = "name"
    name_limit = 256
    fields = {
        "name": Field(
            required=True, replaces=True, pattern=r"[A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo"
        ),
        "fifoTopic": Field(FieldType.FLAG, default=False, replaces=True),
        "contentBasedDeduplication": Field(FieldType.FLAG, default=False),
        "displayName": Field(pattern=r".{0,100}"),
        "kmsMasterKeyId": Field(),
        "policy": Field(FieldType.POLICY, computed=True),
        "deliveryPolicy": Field(FieldType.DOCUMENT),
        "signatureVersion": Field(FieldType.INTEGER, computed=True, minimum=1, maximum=2),
        "tracingConfig": Field(computed=True, allowed=("PassThrough", "Active")),
    }
    outputs = ("arn", "owner")

    def mistakes(self, inputs: Properties) -> Iterator[InvalidInput]:
        name = inputs["name"]
        if isinstance(name, str) and name.endswith(_FIFO) != inputs["fifoTopic"]:
            yield InvalidInput("name", f"must end in {_FIFO} for a FIFO topic, and only then")

    def create(self, context: Context, inputs: Properties) -> str:
        sns = context.client("sns")
        if unless_gone(sns.get_topic_attributes, TopicArn=self._arn(context, inputs)) is not None:
            # SNS refuses this because of its other tags; the emulator would return the topic.
            raise Taken(f"the topic {inputs['name']}", context.region)
        fifo = {"FifoTopic": "true"} if inputs["fifoTopic"] else {}
        made = sns.create_topic(
            Name=inputs["name"],
            Attributes={**_topic_texts(inputs), **fifo},
            Tags=to_list(context.tags(inputs)),
        )
        return str(made["TopicArn"])

    def read(self, context: Context, identity: str) -> Properties | None:
        sns = context.client("sns")
        found = unless_gone(sns.get_topic_attributes, TopicArn=identity)
        if found is None:
            return None
        attributes = found["Attributes"]
        return {
            **from_texts(attributes, _TOPIC_ATTRIBUTES, self.fields),
            "arn": identity,
            "name": identity.rsplit(":", 1)[-1],
            "fifoTopic": attributes.get("FifoTopic", "false") == "true",
            "owner": attributes["Owner"],
            "tags": _tags(sns, identity),
        }

    def update(self, context: Context, identity: str, change: Update) -> None:
        texts = to_texts(change.news, _TOPIC_ATTRIBUTES)
        for name, attribute in _TOPIC_ATTRIBUTES.items():
            if change.any_of(name):
                context.client("sns").set_topic_attributes(
                    TopicArn=identity, AttributeName=attribute, AttributeValue=texts.get(attribute, "")
                )

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        context.client("sns").delete_topic(TopicArn=identity)

    def _arn(self, context: Context, inputs: Properties) -> str:
        return f"arn:aws:sns:{context.region}:{context.account}:{inputs['name']}"


def _topic_texts(inputs: Properties) -> dict[str, str]:
    texts = to_texts(inputs, _TOPIC_ATTRIBUTES)
    if not inputs["fifoTopic"]:
        texts.pop(_TOPIC_ATTRIBUTES["contentBasedDeduplication"], None)  # refused on a plain topic
    return texts


def _tags(sns: Any, arn: str) -> dict[str, str]:
    return from_list(sns.list_tags_for_resource(ResourceArn=arn).get("Tags", []))


class TopicPolicyHandler(Handler):
    """A topic's policy. Deleting it restores SNS's default: only the owner may use the topic."""

    token = "aws:sns/topicPolicy:TopicPolicy"
    fields = {"arn": Field(required=True, replaces=True), "policy": Field(FieldType.POLICY, required=True)}
    outputs = ("owner",)

    def create(self, context: Context, inputs: Properties) -> str:
        _put_policy(context, inputs["arn"], inputs["policy"])
        return str(inputs["arn"])

    def read(self, context: Context, identity: str) -> Properties | None:
        found = unless_gone(context.client("sns").get_topic_attributes, TopicArn=identity)
        if found is None or not found["Attributes"].get("Policy"):
            return None
        return {
            "arn": identity,
            "policy": found["Attributes"]["Policy"],
            "owner": found["Attributes"]["Owner"],
        }

    def update(self, context: Context, identity: str, change: Update) -> None:
        _put_policy(context, identity, change.news["policy"])

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        _put_policy(context, identity, _owner_only(identity, context.account))


def _put_policy(context: Context, arn: str, policy: str) -> None:
    context.client("sns").set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)


def _owner_only(arn: str, account: str) -> str:
    """Return SNS's default policy (SNS Developer Guide, "Access policy", default)."""
    actions = (
        "GetTopicAttributes",
        "SetTopicAttributes",
        "AddPermission",
        "RemovePermission",
        "DeleteTopic",
        "Subscribe",
        "ListSubscriptionsByTopic",
        "Publish",
    )
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{action}" for action in actions],
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
    }
    return json.dumps({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]})


_SUBSCRIPTION_ATTRIBUTES = {
    "rawMessageDelivery": "RawMessageDelivery",
    "filterPolicy": "FilterPolicy",
    "filterPolicyScope": "FilterPolicyScope",
    "redrivePolicy": "RedrivePolicy",
    "deliveryPolicy": "DeliveryPolicy",
    "subscriptionRoleArn": "SubscriptionRoleArn",
}


class TopicSubscriptionHandler(Handler):
    """A subscription to a topic. Delivery settings change in place."""

    token = "aws:sns/topicSubscription:TopicSubscription"
    fields = {
        "topic": Field(required=True, replaces=True),
        "protocol": Field(required=True, replaces=True),
        "endpoint": Field(required=True, replaces=True),
        "rawMessageDelivery": Field(FieldType.FLAG, default=False),
        "filterPolicy": Field(FieldType.DOCUMENT),
        "filterPolicyScope": Field(computed=True, allowed=("MessageAttributes", "MessageBody")),
        "redrivePolicy": Field(FieldType.DOCUMENT),
        "deliveryPolicy": Field(FieldType.DOCUMENT),
        "subscriptionRoleArn": Field(),
        "endpointAutoConfirms": Field(FieldType.FLAG, default=False, opaque=True),
        "confirmationTimeoutInMinutes": Field(FieldType.INTEGER, default=1, opaque=True),
    }
    outputs = ("arn", "confirmationWasAuthenticated", "ownerId", "pendingConfirmation")

    def create(self, context: Context, inputs: Properties) -> str:
        # For an existing subscription SNS returns the same one, so this is idempotent.
        made = context.client("sns").subscribe(
            TopicArn=inputs["topic"],
            Protocol=inputs["protocol"],
            Endpoint=inputs["endpoint"],
            ReturnSubscriptionArn=True,
        )
        return str(made["SubscriptionArn"])

    def finish(self, context: Context, identity: str, inputs: Properties) -> None:
        live = self.read(context, identity) or {}
        for attribute, text in to_texts(inputs, _SUBSCRIPTION_ATTRIBUTES).items():
            if to_texts(live, _SUBSCRIPTION_ATTRIBUTES).get(attribute) != text:
                _set(context, identity, attribute, text)

    def read(self, context: Context, identity: str) -> Properties | None:
        found = unless_gone(context.client("sns").get_subscription_attributes, SubscriptionArn=identity)
        if found is None:
            return None
        attributes = found["Attributes"]
        return {
            **from_texts(attributes, _SUBSCRIPTION_ATTRIBUTES, self.fields),
            "arn": identity,
            "topic": attributes["TopicArn"],
            "protocol": attributes["Protocol"],
            "endpoint": attributes["Endpoint"],
            "ownerId": attributes["Owner"],
            "confirmationWasAuthenticated": attributes.get("ConfirmationWasAuthenticated") == "true",
            "pendingConfirmation": attributes.get("PendingConfirmation") == "true",
        }

    def update(self, context: Context, identity: str, change: Update) -> None:
        for name, attribute in _SUBSCRIPTION_ATTRIBUTES.items():
            if change.any_of(name) and change.news.get(name) is None:
                _set(context, identity, attribute, "")

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        try:
            context.client("sns").unsubscribe(SubscriptionArn=identity)
        except ClientError as error:
            # An unconfirmed address cannot be unsubscribed; SNS deletes it after some days.
            if "pending confirmation" not in str(error):
                raise


def _set(context: Context, identity: str, attribute: str, text: str) -> None:
    context.client("sns").set_subscription_attributes(
        SubscriptionArn=identity, AttributeName=attribute, AttributeValue=text
    )


HANDLERS: tuple[Handler, ...] = (TopicHandler(), TopicPolicyHandler(), TopicSubscriptionHandler())
