"""The migrations into the region: the worker, outside the VPC, and the state machine that calls it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from regionshift.infrastructure import carried
from regionshift.infrastructure.policies import function as common
from regionshift.infrastructure.policies import services as machine_rights
from regionshift.infrastructure.policies.statement import Statement, arn_by_name, document, policy, trust
from regionshift.infrastructure.site import RegionComponent, Site, bounded_role
from regionshift.infrastructure.state_machine import definition
from regionshift.infrastructure.worker_rights import Made, worker_policies
from regionshift.settings import components as named

HANDLER = "migration_worker.handler"
TIMEOUT = 900
"""In seconds: the most that Lambda allows. A call that comes near it answers that there is more to do."""


class MigrationStack(RegionComponent):
    """The worker and the state machine, with their roles and log groups. They reach only what ``carry`` names."""

    def __init__(
        self,
        site: Site,
        opts: pulumi.ResourceOptions,
        *,
        key: aws.kms.Key,
        records_key: aws.kms.Key,
        bucket: aws.s3.Bucket,
        topic: aws.sns.Topic,
    ) -> None:
        super().__init__(site, "Migration", opts)
        self._key = key
        self._records_key = records_key
        self._bucket = bucket
        self._topic = topic
        account = site.config.account
        self.worker_role = bounded_role(
            site,
            "worker",
            named.WORKER_ROLE,
            "rights of the migration worker",
            trust("lambda", account),
            self.child(),
        )
        self.worker = self._worker()
        machine = site.arn("states", f"stateMachine:{site.name(named.STATE_MACHINE)}")
        self.machine_role = bounded_role(
            site,
            "states",
            named.STATE_MACHINE_ROLE,
            "rights of the state machine",
            # Map runs act for the state machine under a label (Step Functions Developer Guide, "Prevent cross-service
            # confused deputy issues").
            trust("states", account, [machine, f"{machine}/*"]),
            self.child(),
        )
        self.machine = self._machine()
        self.register_outputs({"state_machine_arn": self.machine.arn})

    def _worker(self) -> aws.lambda_.Function:
        site = self.site
        settings, artifact = site.config.function, site.release.artifact
        log_group = self._log_group(
            self._key,
            "worker-log-group",
            site.names.function_log_group(site.name(named.WORKER)),
            "log of the worker",
        )
        return aws.lambda_.Function(
            site.label("worker"),
            name=site.name(named.WORKER),
            description=site.about("Carries data"),
            role=arn_by_name(self.worker_role.arn, site.role(named.WORKER_ROLE)),
            handler=HANDLER,
            runtime=settings.runtime,
            architectures=[settings.architecture],
            memory_size=settings.memory,
            timeout=TIMEOUT,
            reserved_concurrent_executions=-1,
            code=pulumi.FileArchive(str(artifact.path.absolute())),
            source_code_hash=base64.b64encode(bytes.fromhex(artifact.sha256)).decode(),
            environment={
                "variables": carried.worker_variables(
                    site, self._bucket.bucket, self._topic.arn, self._records_key.arn
                )
            },
            tracing_config={"mode": "Active"},
            tags=site.tags("worker", "migration worker"),
            opts=self.child(depends_on=[*self._worker_policies(log_group), log_group]),
        )

    def _worker_policies(self, log_group: aws.cloudwatch.LogGroup) -> list[pulumi.Resource]:
        made = Made(self._key.arn, self._records_key.arn, self._topic.arn, log_group.arn)
        policies = worker_policies(self.site, made)
        inline: dict[named.Component, pulumi.Resource] = {}
        for each in policies.inline:
            after = [inline[each.after]] if each.after else []
            inline[each.component] = self._policy(
                each.component, self.worker_role, each.build, dict(each.given), after
            )
        managed = (self._managed(component, statements) for component, statements in policies.managed.items())
        return [*inline.values(), *managed]

    def _managed(self, component: named.Component, statements: Sequence[Statement]) -> pulumi.Resource:
        """Create a managed policy of the worker's role. The role has it once the returned resource exists."""
        thing = f"{component.part}-policy"
        made = aws.iam.Policy(
            self.site.label(thing),
            name=self.site.name(component),
            policy=document(statements),
            tags=self.site.tags(thing, "rights of the migration worker"),
            opts=self.child(),
        )
        return aws.iam.RolePolicyAttachment(
            self.site.label(f"{component.part}-attachment"),
            role=self.worker_role.name,
            policy_arn=made.arn,
            opts=self.child(),
        )

    def _machine(self) -> aws.sfn.StateMachine:
        site, name = self.site, self.site.name(named.STATE_MACHINE)
        log_group = self._log_group(
            self._key,
            "states-log-group",
            site.name(named.STATE_MACHINE_LOG_GROUP),
            "log of the state machine",
        )
        given = {
            "worker": self.worker.arn,
            "machine": site.arn("states", f"stateMachine:{name}"),
            "executions": [site.arn("states", f"execution:{name}{of}:*") for of in ("", "/*")],
            "manifests": self._bucket.arn.apply(lambda arn: f"{arn}/migrations/*/plan/manifest.jsonl"),
            "results": self._bucket.arn.apply(lambda arn: f"{arn}/migrations/*/map/*"),
            "account": site.config.account,
        }
        policies = [
            self._policy(
                named.STATES_RUN_POLICY,
                self.machine_role,
                machine_rights.state_machine_statements,
                given,
            ),
            self._policy(
                named.STATES_LOGS_POLICY, self.machine_role, machine_rights.log_delivery_statements, {}
            ),
            self._policy(
                named.STATES_KEY_POLICY,
                self.machine_role,
                common.key_statements,
                {"key": self._key.arn, "services": site.service_hosts("s3")},
            ),
        ]
        return aws.sfn.StateMachine(
            site.label("states"),
            name=name,
            type="STANDARD",
            role_arn=arn_by_name(self.machine_role.arn, site.role(named.STATE_MACHINE_ROLE)),
            definition=self.worker.arn.apply(definition),
            logging_configuration={
                "level": "ERROR",
                # Inputs name object keys, and more people read the log than the records.
                "include_execution_data": False,
                "log_destination": log_group.arn.apply(lambda arn: f"{arn}:*"),
            },
            tags=site.tags("states", "runs migrations into the region"),
            opts=self.child(depends_on=[*policies, log_group]),
        )

    def _policy(
        self,
        component: named.Component,
        role: aws.iam.Role,
        build: Callable[..., Sequence[Statement]],
        resources: dict[str, Any],
        after: Sequence[pulumi.Resource] = (),
    ) -> pulumi.Resource:
        return aws.iam.RolePolicy(
            self.site.label(f"{component.part}-policy"),
            name=self.site.name(component),
            role=role.name,
            policy=policy(build, **resources),
            opts=self.child(depends_on=list(after)),
        )
