"""The region's configuration and the application's secrets, encrypted with the region's key.

From here on the values are Pulumi secrets: encrypted in the state, masked in every event, in no output.
"""

from __future__ import annotations

import base64

import pulumi
import pulumi_aws as aws
from pydantic import SecretBytes, SecretStr

from regionshift.infrastructure.site import RegionComponent, Site
from regionshift.settings import components as named
from regionshift.settings.deployment_config import deployment_text, secret_name
from regionshift.settings.quotas import PARAMETER
from regionshift.settings.release import SecretValue


class SecretsStack(RegionComponent):
    """The configuration as one SecureString (or secret), and each of the application's secrets beside it."""

    def __init__(self, site: Site, key: aws.kms.Key, opts: pulumi.ResourceOptions) -> None:
        super().__init__(site, "Secrets", opts)
        self._key = key
        text = deployment_text(site.config, site.region)
        secrets = sorted(site.release.secrets.items())
        self.parameter: aws.ssm.Parameter | None = None
        self.secret: aws.secretsmanager.Secret | None = None
        if site.config.application.store == "ssm":
            self.config_name = site.name(named.DEPLOYMENT_CONFIG_PARAMETER)
            self.parameter = self._parameter("deployment-config", self.config_name, text)
            for name, value in secrets:
                self._parameter(
                    f"secret-{name}", secret_name(site.config, site.region, name), _text(name, value)
                )
        else:
            self.config_name = site.name(named.DEPLOYMENT_CONFIG_SECRET)
            self.secret = self._secret("deployment-config", self.config_name, SecretStr(text))
            for name, value in secrets:
                self._secret(f"secret-{name}", secret_name(site.config, site.region, name), value)
        self.register_outputs({})

    def _parameter(self, thing: str, name: str, value: str) -> aws.ssm.Parameter:
        return aws.ssm.Parameter(
            self.site.label(thing),
            name=name,
            type="SecureString",
            tier="Standard" if len(value.encode()) <= PARAMETER.most else "Advanced",
            key_id=self._key.arn,
            value=pulumi.Output.secret(value),
            tags=self.site.tags(thing, "configuration of the environment"),
            opts=self.child(holds_data=True),
        )

    def _secret(self, thing: str, name: str, value: SecretValue) -> aws.secretsmanager.Secret:
        secret = aws.secretsmanager.Secret(
            self.site.label(thing),
            name=name,
            kms_key_id=self._key.arn,
            recovery_window_in_days=self.site.config.retention.secret_recovery,
            tags=self.site.tags(thing, "configuration of the environment"),
            opts=self.child(holds_data=True),
        )
        content = value.get_secret_value()
        aws.secretsmanager.SecretVersion(
            self.site.label(f"{thing}-value"),
            secret_id=secret.id,
            secret_string=pulumi.Output.secret(content) if isinstance(content, str) else None,
            secret_binary=None if isinstance(content, str) else pulumi.Output.secret(_base64(content)),
            opts=self.child(),
        )
        return secret


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _text(name: str, value: SecretValue) -> str:
    """Return a value as a parameter takes it. `operations.secret_values` refused bytes where the store takes none."""
    if isinstance(value, SecretBytes):
        raise TypeError(f"the secret {name} is binary, and a parameter holds text only")
    return value.get_secret_value()
