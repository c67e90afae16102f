"""The region's topics: one for the news of deployments, one for alarms."""

from __future__ import annotations

import hashlib

import pulumi
import pulumi_aws as aws

from regionshift.infrastructure.policies import resources as policies
from regionshift.infrastructure.policies.statement import policy
from regionshift.infrastructure.site import RegionComponent, Site
from regionshift.settings import components as named


class NotificationsStack(RegionComponent):
    """Two topics under the region's key."""

    def __init__(self, site: Site, key: aws.kms.Key, opts: pulumi.ResourceOptions) -> None:
        super().__init__(site, "Notifications", opts)
        self.deployment_topic = self._topic(
            "deployment-topic", named.DEPLOYMENT_TOPIC, key, "news of deployments and migrations"
        )
        self.alarm_topic = self._topic("alarm-topic", named.ALARM_TOPIC, key, "alarms of the region")
        aws.sns.TopicPolicy(
            site.label("deployment-topic-policy"),
            arn=self.deployment_topic.arn,
            policy=policy(policies.deployment_topic_statements, topic=self.deployment_topic.arn),
            opts=self.child(),
        )
        aws.sns.TopicPolicy(
            site.label("alarm-topic-policy"),
            arn=self.alarm_topic.arn,
            policy=policy(
                policies.alarm_topic_statements,
                topic=self.alarm_topic.arn,
                alarms=site.arn("cloudwatch", "alarm:*"),
                account=site.config.account,
            ),
            opts=self.child(),
        )
        for address in site.config.alerts.emails:
            self._subscribe("deployment-topic", self.deployment_topic, address)
            self._subscribe("alarm-topic", self.alarm_topic, address)
        self.register_outputs({"alarm_topic_arn": self.alarm_topic.arn})

    def _topic(self, thing: str, component: named.Component, key: aws.kms.Key, purpose: str) -> aws.sns.Topic:
        return aws.sns.Topic(
            self.site.label(thing),
            name=self.site.name(component),
            kms_master_key_id=key.arn,
            tags=self.site.tags(thing, purpose),
            opts=self.child(),
        )

    def _subscribe(self, thing: str, topic: aws.sns.Topic, address: str) -> None:
        # Named by a hash, not by its index: removing one address must not touch the others.
        digest = hashlib.sha256(address.lower().encode()).hexdigest()[:8]
        aws.sns.TopicSubscription(
            self.site.label(f"{thing}-email-{digest}"),
            topic=topic.arn,
            protocol="email",
            endpoint=address,
            opts=self.child(),
        )
