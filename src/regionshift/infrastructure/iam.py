"""The role of the function, to which the region attaches its rights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from regionshift.infrastructure.policies.statement import Statement, policy, trust
from regionshift.infrastructure.site import RegionComponent, Site, bounded_role
from regionshift.settings import components as named

KEY_SERVICES = ("s3", "secretsmanager", "sns", "sqs", "ssm")
"""The services that use the region's key for the function."""


class IAMStack(RegionComponent):
    """The role of the region's function. Its rights are attached as inline policies."""

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
