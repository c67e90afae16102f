"""The region's configuration and the application's secrets, encrypted with the region's key.

Values are Pulumi secrets from here on: encrypted in the state, masked in every event, in no output.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pulumi
import pulumi_aws as aws
from pydantic import SecretBytes, SecretStr

from regionshift.infrastructure.site import RegionComponent, Site
from regionshift.settings import components as named
from regionshift.settings.carry import CarryBucket
from regionshift.settings.config import MigrationConfig
from regionshift.settings.release import SecretValue

STANDARD_LIMIT = 4096
"""Bytes that a standard parameter holds; an advanced one holds 8,192 (Systems Manager User Guide, "Managing
parameter tiers")."""


def deployment_config(site: Site) -> dict[str, Any]:
    """What the function and the application are told; no secret's value, only where it is found.

    ``replication_destinations`` names the bucket of every secondary, so that the primary can tell whether it
    replicates to each.
    """
    config = site.config
    secondaries = config.regions.secondaries
    return {
        "project": config.project,
        "region": site.region,
        "environment": config.environment,
        "environment_suffix": config.suffix,
        "log_level": config.application.log_level,
        "enable_validation": config.application.enable_validation,
        "primary_region": config.regions.primary,
        "secondary_regions": list(secondaries),
        "is_primary": site.is_primary,
        "replication_destinations": {
            region: named.DEPLOYMENT_BUCKET.name(site.names, region) for region in secondaries
        },
        "deployment_buckets": {
            region: named.DEPLOYMENT_BUCKET.name(site.names, region) for region in config.all_regions
        },
        "carry": [_carried(config, entry) for entry in config.carry.s3],
        "on_failure": config.migration.on_failure,
        "config": dict(config.application.config),
        "secrets": {name: _secret_name(site, name) for name in sorted(config.application.secrets)},
    }


def _carried(config: MigrationConfig, entry: CarryBucket) -> dict[str, Any]:
    """What the function has to know of an entry; the parameter is small, so what has its default is left out."""
    keeps = config.migration.keep_versions if entry.keep_versions is None else entry.keep_versions
    named_here = entry.model_dump(
        mode="json", exclude={"created_by", "keep_versions"}, exclude_defaults=True, exclude_none=True
    )
    return {**named_here, **({"keep_versions": True} if keeps else {})}


class SecretsStack(RegionComponent):
    """The configuration as one SecureString (or secret), and each of the application's secrets beside it."""

    def __init__(self, site: Site, key: aws.kms.Key, opts: pulumi.ResourceOptions) -> None:
        super().__init__(site, "Secrets", opts)
        self._key = key
        text = json.dumps(deployment_config(site), sort_keys=True)
        secrets = sorted(site.release.secrets.items())
        self.parameter: aws.ssm.Parameter | None = None
        self.secret: aws.secretsmanager.Secret | None = None
        if site.config.application.store == "ssm":
            self.config_name = site.name(named.DEPLOYMENT_CONFIG_PARAMETER)
            self.parameter = self._parameter("deployment-config", self.config_name, text)
            for name, value in secrets:
                self._parameter(f"secret-{name}", _secret_name(site, name), _text(name, value))
        else:
            self.config_name = site.name(named.DEPLOYMENT_CONFIG_SECRET)
            self.secret = self._secret("deployment-config", self.config_name, SecretStr(text))
            for name, value in secrets:
                self._secret(f"secret-{name}", _secret_name(site, name), value)
        self.register_outputs({})

    def _parameter(self, thing: str, name: str, value: str) -> aws.ssm.Parameter:
        return aws.ssm.Parameter(
            self.site.label(thing),
            name=name,
            type="SecureString",
            tier="Standard" if len(value.encode()) <= STANDARD_LIMIT else "Advanced",
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
    """A value as a parameter takes it. `operations.secret_values` refused bytes where the store takes none."""
    if isinstance(value, SecretBytes):
        raise TypeError(f"the secret {name} is binary, and a parameter holds text only")
    return value.get_secret_value()


def _secret_name(site: Site, name: str) -> str:
    if site.config.application.store == "ssm":
        return site.names.parameter(name, site.region)
    return site.names.secret(name, site.region)
