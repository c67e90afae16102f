"""The function's role, and the small functions that give it rights: each takes the resource it is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from regionshift.infrastructure.policies import function as rights
from regionshift.infrastructure.policies.statement import Statement, policy, trust
from regionshift.infrastructure.site import RegionComponent, Site, bounded_role
from regionshift.settings import components as named

KEY_SERVICES = ("s3", "secretsmanager", "sns", "sqs", "ssm")
"""Services that use the region's key in the function's name."""


class IAMStack(RegionComponent):
    """One role for the function of the region; rights are attached as inline policies."""

    def __init__(self, site: Site, opts: pulumi.ResourceOptions) -> None:
        super().__init__(site, "IAM", opts)
        self.role = bounded_role(
            site,
            "function",
            named.FUNCTION_ROLE,
            "rights of the migration function",
            trust("lambda", site.config.account),
            self.child(),
        )
        self.policies: list[pulumi.Resource] = []
        self.register_outputs({"role_arn": self.role.arn})

    def attach(
        self,
        component: named.Component,
        build: Callable[..., Sequence[Statement]],
        **resources: pulumi.Input[Any],
    ) -> pulumi.Resource:
        """Give the role the statements of ``build(**resources)`` as one inline policy."""
        given = aws.iam.RolePolicy(
            self.site.label(f"function-{component.part}-policy"),
            name=self.site.name(component),
            role=self.role.name,
            policy=policy(build, **resources),
            opts=self.child(),
        )
        self.policies.append(given)
        return given


def attach_s3_policy(stack: IAMStack, bucket: aws.s3.Bucket) -> None:
    """List, read, write and tag the bucket."""
    stack.attach(named.S3_POLICY, rights.s3_statements, bucket=bucket.arn, account=stack.site.config.account)


def attach_key_policy(stack: IAMStack, key: aws.kms.Key) -> None:
    """Use the key through the services of its region."""
    hosts = stack.site.service_hosts(*KEY_SERVICES)
    stack.attach(named.KEY_POLICY, rights.own_key_statements, key=key.arn, services=hosts)


def attach_seals_policy(stack: IAMStack, key: aws.kms.Key) -> None:
    """Seal the records of migrations with the HMAC key."""
    stack.attach(named.SEALS_POLICY, rights.seal_statements, key=key.arn)


def attach_parameter_policy(stack: IAMStack, own: aws.ssm.Parameter) -> None:
    """Read the configuration."""
    stack.attach(named.CONFIGURATION_POLICY, rights.parameter_statements, own=own.arn)


def attach_secret_policy(stack: IAMStack, own: aws.secretsmanager.Secret) -> None:
    """Read the configuration where it is kept in Secrets Manager."""
    stack.attach(named.CONFIGURATION_POLICY, rights.secret_statements, own=own.arn)


def attach_cloudwatch_logs_policy(stack: IAMStack, log_groups: Sequence[aws.cloudwatch.LogGroup]) -> None:
    """Write to the log groups."""
    stack.attach(
        named.LOGS_POLICY,
        rights.log_statements,
        log_groups=[group.arn for group in log_groups],
    )


def attach_topic_policy(stack: IAMStack, topic: aws.sns.Topic) -> None:
    """Publish to the topic."""
    stack.attach(named.TOPIC_POLICY, rights.topic_statements, topic=topic.arn)


def attach_dead_letter_policy(stack: IAMStack, queue: aws.sqs.Queue) -> None:
    """Leave dead letters in the queue."""
    stack.attach(named.DEAD_LETTERS_POLICY, rights.queue_statements, queue=queue.arn)


def attach_state_machine_policy(stack: IAMStack, machine: str) -> None:
    """Start the region's state machine. An ARN: the machine is made after the function's rights."""
    executions = machine.replace(":stateMachine:", ":execution:") + ":*"
    stack.attach(named.START_POLICY, rights.state_machine_statements, machine=machine, executions=executions)


def attach_tracing_policy(stack: IAMStack) -> None:
    """Send traces."""
    stack.attach(named.TRACING_POLICY, rights.tracing_statements)


def attach_metrics_policy(stack: IAMStack) -> None:
    """Count actions."""
    stack.attach(named.METRICS_POLICY, rights.metrics_statements)


def attach_network_interface_policy(
    stack: IAMStack, subnets: Sequence[aws.ec2.Subnet], security_group: aws.ec2.SecurityGroup
) -> None:
    """Let Lambda place the function in the subnets."""
    stack.attach(
        named.NETWORK_INTERFACE_POLICY,
        rights.network_interface_statements,
        interfaces=stack.site.arn("ec2", "network-interface/*"),
        subnets=[subnet.arn for subnet in subnets],
        security_groups=[security_group.arn],
    )


def attach_interface_removal_policy(stack: IAMStack) -> pulumi.Resource:
    """Let Lambda take away what it placed; whatever the interfaces are in the way of must go before this."""
    interfaces = stack.site.arn("ec2", "network-interface/*")
    return stack.attach(
        named.INTERFACE_REMOVAL_POLICY, rights.interface_removal_statements, interfaces=interfaces
    )
