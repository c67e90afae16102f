"""All resources of one region. No region knows another."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from regionshift.infrastructure.alarms import state_machine_arn
from regionshift.infrastructure.configuration import SecretsStack
from regionshift.infrastructure.encryption import EncryptionStack
from regionshift.infrastructure.function import LambdaStack
from regionshift.infrastructure.iam import KEY_SERVICES, IAMStack
from regionshift.infrastructure.migration import MigrationStack
from regionshift.infrastructure.monitoring import MonitoringStack
from regionshift.infrastructure.network import NetworkStack
from regionshift.infrastructure.notifications import NotificationsStack
from regionshift.infrastructure.policies import function
from regionshift.infrastructure.site import RegionComponent, Site
from regionshift.infrastructure.storage import StorageStack
from regionshift.settings import components as named


class RegionStack(RegionComponent):
    """One region at one release, with every resource created by ``provider``."""

    def __init__(self, site: Site, provider: aws.Provider, *, allow_data_loss: bool = False) -> None:
        super().__init__(site, "Region", pulumi.ResourceOptions(providers={"aws": provider}))
        self.provider = provider
        inside = pulumi.ResourceOptions(parent=self)
        self.encryption = EncryptionStack(site, inside)
        key = self.encryption.key
        self.iam = IAMStack(site, inside)
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
        """Give Lambda the right to remove its network interfaces, where the function has some."""
        in_vpc = self.site.config.network.function_in_vpc
        rights = function.interface_removal_statements
        return (
            [self.iam.attach(named.INTERFACE_REMOVAL_POLICY, rights, interfaces=self._interfaces)]
            if in_vpc
            else []
        )

    @property
    def _interfaces(self) -> str:
        return self.site.arn("ec2", "network-interface/*")

    def _give_rights(self, key: aws.kms.Key) -> None:
        attach, site = self.iam.attach, self.site
        bucket = self.storage.deployment_bucket.arn
        attach(named.S3_POLICY, function.s3_statements, bucket=bucket, account=site.config.account)
        services = site.service_hosts(*KEY_SERVICES)
        attach(named.KEY_POLICY, function.own_key_statements, key=key.arn, services=services)
        attach(named.SEALS_POLICY, function.seal_statements, key=self.encryption.records_key.arn)
        if self.secrets.parameter is not None:
            attach(named.CONFIGURATION_POLICY, function.parameter_statements, own=self.secrets.parameter.arn)
        if self.secrets.secret is not None:
            attach(named.CONFIGURATION_POLICY, function.secret_statements, own=self.secrets.secret.arn)
        groups = [group.arn for group in self.monitoring.log_groups]
        attach(named.LOGS_POLICY, function.log_statements, log_groups=groups)
        attach(named.TOPIC_POLICY, function.topic_statements, topic=self.notifications.deployment_topic.arn)
        attach(named.TRACING_POLICY, function.tracing_statements)
        attach(named.METRICS_POLICY, function.metrics_statements)
        # An ARN by name, because the state machine is made after the function's rights.
        attach(named.START_POLICY, function.state_machine_statements, machine=state_machine_arn(site))
        if self.network.function_security_group is not None:
            attach(
                named.NETWORK_INTERFACE_POLICY,
                function.network_interface_statements,
                interfaces=self._interfaces,
                subnets=[subnet.arn for subnet in self.network.subnets],
                security_groups=[self.network.function_security_group.arn],
            )

    def _variables(self) -> dict[str, pulumi.Input[str]]:
        """Return the function's variables: the same names in every region, and no secret."""
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
