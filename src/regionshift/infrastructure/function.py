"""The migration function of the region, with the queue for its failed invocations."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from regionshift.infrastructure.iam import IAMStack
from regionshift.infrastructure.network import NetworkStack
from regionshift.infrastructure.policies.function import queue_statements
from regionshift.infrastructure.policies.resources import dead_letter_queue_statements
from regionshift.infrastructure.policies.statement import arn_by_name, policy
from regionshift.infrastructure.site import RegionComponent, Site
from regionshift.settings import components as named

HANDLER = "migration_handler.handler"
DEAD_LETTER_RETENTION = 14 * 24 * 3600
"""The seconds that a dead letter is kept: the most that SQS allows (SQS Developer Guide, "Message quotas")."""


class LambdaStack(RegionComponent):
    """The function. It is created after its rights and its log group, because it can be invoked at once."""

    def __init__(
        self,
        site: Site,
        opts: pulumi.ResourceOptions,
        *,
        iam: IAMStack,
        key: aws.kms.Key,
        network: NetworkStack,
        variables: dict[str, pulumi.Input[str]],
        log_group: aws.cloudwatch.LogGroup,
    ) -> None:
        super().__init__(site, "Lambda", opts)
        self.dead_letters = self._queue(key)
        iam.attach(named.DEAD_LETTERS_POLICY, queue_statements, queue=self.dead_letters.arn)
        settings = site.config.function
        artifact = site.release.artifact
        self.function = aws.lambda_.Function(
            site.label("function"),
            name=site.name(named.FUNCTION),
            description=site.about("Validates and migrates what is"),
            role=arn_by_name(iam.role.arn, site.role(named.FUNCTION_ROLE)),
            handler=HANDLER,
            runtime=settings.runtime,
            architectures=[settings.architecture],
            memory_size=settings.memory,
            timeout=settings.timeout,
            # The provider reads back -1 when none is reserved.
            reserved_concurrent_executions=_reserved(settings.reserved_concurrency),
            # An absolute path, because the engine resolves relative ones against the folder of the Python process.
            code=pulumi.FileArchive(str(artifact.path.absolute())),
            source_code_hash=base64.b64encode(bytes.fromhex(artifact.sha256)).decode(),
            environment={"variables": variables},
            tracing_config={"mode": "Active"},
            dead_letter_config={"target_arn": self.dead_letters.arn},
            vpc_config=_placement(network),
            tags=site.tags("function", "migration function"),
            opts=self.child(depends_on=[*iam.policies, log_group]),
        )
        self.register_outputs({"function_arn": self.function.arn})

    def _queue(self, key: aws.kms.Key) -> aws.sqs.Queue:
        queue = aws.sqs.Queue(
            self.site.label("dead-letters"),
            name=self.site.name(named.DEAD_LETTERS),
            kms_master_key_id=key.arn,
            message_retention_seconds=DEAD_LETTER_RETENTION,
            tags=self.site.tags("dead-letters", "invocations that failed permanently"),
            opts=self.child(),
        )
        aws.sqs.QueuePolicy(
            self.site.label("dead-letters-policy"),
            queue_url=queue.url,
            policy=policy(dead_letter_queue_statements, queue=queue.arn),
            opts=self.child(),
        )
        return queue


def _reserved(concurrency: int | None) -> int:
    return -1 if concurrency is None else concurrency


def _placement(network: NetworkStack) -> aws.lambda_.FunctionVpcConfigArgs | None:
    group = network.function_security_group
    if group is None:
        return None
    subnets: Sequence[pulumi.Input[str]] = [subnet.id for subnet in network.subnets]
    return aws.lambda_.FunctionVpcConfigArgs(subnet_ids=subnets, security_group_ids=[group.id])
