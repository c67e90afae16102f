"""Everything of one region, put together: no region knows another."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from regionshift.infrastructure import iam as rights
from regionshift.infrastructure.alarms import state_machine_arn
from regionshift.infrastructure.configuration import SecretsStack
from regionshift.infrastructure.encryption import EncryptionStack
from regionshift.infrastructure.function import LambdaStack
from regionshift.infrastructure.migration import MigrationStack
from regionshift.infrastructure.monitoring import MonitoringStack
from regionshift.infrastructure.network import NetworkStack
from regionshift.infrastructure.notifications import NotificationsStack
from regionshift.infrastructure.site import RegionComponent, Site
from regionshift.infrastructure.storage import StorageStack


class RegionStack(RegionComponent):
    """One region at one release, every resource made by ``provider``."""

    def __init__(self, site: Site, provider: aws.Provider, *, allow_data_loss: bool = False) -> None:
        super().__init__(site, "Region", pulumi.ResourceOptions(providers={"aws": provider}))
        self.provider = provider
        inside = pulumi.ResourceOptions(parent=self)
        self.encryption = EncryptionStack(site, inside)
        key = self.encryption.key
        self.iam = rights.IAMStack(site, inside)
        self.network = NetworkStack(site, key, inside, outlasts=self._removal())
        self.storage = StorageStack(site, key, inside, allow_data_loss=allow_data_loss)
        self.secrets = SecretsStack(site, key, inside)
        self.notifications = NotificationsStack(site, key, inside)
        self.monitoring = MonitoringStack(site, key, self.notifications.alarm_topic, inside)
        self._give_rights(key)
        self.function = LambdaStack(
            site,
            inside,
            iam=self.iam,
            key=key,
            network=self.network,
            variables=self._variables(),
            log_group=self.monitoring.function_log_group,
        )
        self.migration = MigrationStack(
            site,
            inside,
            key=key,
            records_key=self.encryption.records_key,
            bucket=self.storage.deployment_bucket,
            topic=self.notifications.deployment_topic,
        )
        self.register_outputs({})

    def _removal(self) -> list[pulumi.Resource]:
        """The right to take Lambda's network interfaces away, where the function has some."""
        in_vpc = self.site.config.network.function_in_vpc
        return [rights.attach_interface_removal_policy(self.iam)] if in_vpc else []

    def _give_rights(self, key: aws.kms.Key) -> None:
        rights.attach_s3_policy(self.iam, self.storage.deployment_bucket)
        rights.attach_key_policy(self.iam, key)
        rights.attach_seals_policy(self.iam, self.encryption.records_key)
        if self.secrets.parameter is not None:
            rights.attach_parameter_policy(self.iam, self.secrets.parameter)
        if self.secrets.secret is not None:
            rights.attach_secret_policy(self.iam, self.secrets.secret)
        rights.attach_cloudwatch_logs_policy(self.iam, self.monitoring.log_groups)
        rights.attach_topic_policy(self.iam, self.notifications.deployment_topic)
        rights.attach_tracing_policy(self.iam)
        rights.attach_metrics_policy(self.iam)
        rights.attach_state_machine_policy(self.iam, state_machine_arn(self.site))
        if self.network.function_security_group is not None:
            rights.attach_network_interface_policy(
                self.iam, self.network.subnets, self.network.function_security_group
            )

    def _variables(self) -> dict[str, pulumi.Input[str]]:
        """The function's variables: the same names in every region, and no secret among them."""
        config = self.site.config
        return {
            "REGION": self.site.region,
            "ACCOUNT": config.account,
            "ENVIRONMENT": config.environment,
            "ENVIRONMENT_SUFFIX": config.suffix,
            "DEPLOYMENT_BUCKET": self.storage.deployment_bucket.bucket,
            "CONFIG_STORE": config.application.store,
            "CONFIG_PARAMETER": self.secrets.config_name,
            "NOTIFICATION_TOPIC": self.notifications.deployment_topic.arn,
            "VALIDATION_LOG_GROUP": self.monitoring.validation_log_group.name,
            "DEPLOYMENT_LOG_GROUP": self.monitoring.deployment_log_group.name,
            "KMS_KEY_ARN": self.encryption.key.arn,
            "RECORDS_KEY_ARN": self.encryption.records_key.arn,
            "STATE_MACHINE_ARN": state_machine_arn(self.site),
        }
