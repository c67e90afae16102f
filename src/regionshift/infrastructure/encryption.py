"""The region's key, which encrypts everything of the region that can be encrypted."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from regionshift.infrastructure.policies.resources import key_policy_statements, seal_policy_statements
from regionshift.infrastructure.policies.statement import document
from regionshift.infrastructure.site import RegionComponent, Site
from regionshift.settings import components as named
from regionshift.settings.names import NameKind


class EncryptionStack(RegionComponent):
    """A customer key with rotation, an HMAC key for the records of migrations, and their aliases."""

    def __init__(self, site: Site, opts: pulumi.ResourceOptions) -> None:
        super().__init__(site, "Encryption", opts)
        self.key = aws.kms.Key(
            site.label("key"),
            description=f"Everything of {site.config.project} {site.config.suffix} in {site.region}",
            enable_key_rotation=True,
            deletion_window_in_days=site.config.retention.key_deletion,
            policy=_policy(site),
            tags=site.tags("key", "encryption of everything in the region"),
            opts=self.child(holds_data=True),
        )
        self.alias = aws.kms.Alias(
            site.label("key-alias"),
            name=site.name(named.KEY),
            target_key_id=self.key.key_id,
            opts=self.child(),
        )
        self.records_key = aws.kms.Key(
            site.label("records-key"),
            description=f"Seals the records of migrations of {site.config.project} {site.config.suffix}",
            customer_master_key_spec="HMAC_256",
            key_usage="GENERATE_VERIFY_MAC",
            enable_key_rotation=False,
            deletion_window_in_days=site.config.retention.key_deletion,
            policy=document(seal_policy_statements(site.arn("iam", "root", regional=False))),
            tags=site.tags("records-key", "seals the records of migrations"),
            opts=self.child(holds_data=True),
        )
        aws.kms.Alias(
            site.label("records-key-alias"),
            name=site.name(named.RECORDS_KEY),
            target_key_id=self.records_key.key_id,
            opts=self.child(),
        )
        self.register_outputs({"key_arn": self.key.arn})


def _policy(site: Site) -> str:
    groups = [
        *(site.names.function_log_group(site.name(name)) for name in (named.FUNCTION, named.WORKER)),
        *(site.name(group) for group in named.COMPONENTS if group.kind is NameKind.LOG_GROUP),
    ]
    return document(
        key_policy_statements(
            account_root=site.arn("iam", "root", regional=False),
            region=site.region,
            account=site.config.account,
            log_groups=[site.arn("logs", f"log-group:{group}") for group in groups],
            alarms=site.arn("cloudwatch", "alarm:*"),
        )
    )
