"""A queue that gets what a region's deployment topic is told."""

from __future__ import annotations

import json
from typing import Any

from regionshift.aws.clients import Clients


def subscribed(clients: Clients, region: str) -> str:
    """The URL of a queue that from now on gets what is told on the region's deployment topic."""
    sns, sqs = clients.get("sns", region), clients.get("sqs", region)
    topic = next(t["TopicArn"] for t in sns.list_topics()["Topics"] if "-deployment-" in t["TopicArn"])
    queue = sqs.create_queue(QueueName=f"told-{region}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**allow, "Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return queue


def news_of(clients: Clients, region: str, queue: str, *events: str) -> list[dict[str, Any]]:
    """What has come since, of ``events``, in the order in which it was told."""
    sqs = clients.get("sqs", region)
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found.append(json.loads(json.loads(message["Body"])["Message"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return sorted((each for each in found if each["event"] in events), key=lambda each: str(each["time"]))
