"""The whole program: a provider for each region, every region that has a release, the links, and the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from regionshift.errors import InputError
from regionshift.infrastructure.links import LinksStack
from regionshift.infrastructure.region import RegionStack
from regionshift.infrastructure.site import Site
from regionshift.settings.release import Release

SERVICES = (
    "cloudwatch",
    "ec2",
    "iam",
    "kms",
    "lambda_",
    "logs",
    "s3",
    "secretsmanager",
    "sfn",
    "sns",
    "sqs",
    "ssm",
    "sts",
)


@dataclass(frozen=True)
class ProviderSettings:
    """How the providers reach AWS. Empty on AWS: the ordinary chain of credentials is used.

    With ``endpoint`` every service is called there, and what only AWS itself can answer is skipped.
    """

    endpoint: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)


class AWSProviderManager:
    """Creates the provider of a region on first use, and returns the same one afterwards."""

    def __init__(self, settings: ProviderSettings, sites: Mapping[str, Site]) -> None:
        self._settings = settings
        self._sites = sites
        self._providers: dict[str, aws.Provider] = {}

    def get_provider(self, region: str) -> aws.Provider:
        """Return the region's provider, with the region's default tags, bound to the account of the settings.

        Raises:
            KeyError: the region has no release, so nothing may be created in it.
        """
        if region not in self._providers:
            self._providers[region] = self._make(self._sites[region])
        return self._providers[region]

    def _make(self, site: Site) -> aws.Provider:
        return aws.Provider(
            site.label("aws"),
            region=site.region,
            default_tags=aws.ProviderDefaultTagsArgs(tags=dict(site.default_tags)),
            **self._access(site),
        )

    def _access(self, site: Site) -> dict[str, Any]:
        if self._settings.endpoint is None:
            return {"allowed_account_ids": [site.config.account]}
        return {
            "endpoints": [aws.ProviderEndpointArgs(**dict.fromkeys(SERVICES, self._settings.endpoint))],
            "access_key": _secret(self._settings.access_key),
            "secret_key": _secret(self._settings.secret_key),
            "token": _secret(self._settings.session_token),
            "s3_use_path_style": True,
            "skip_credentials_validation": True,
            "skip_metadata_api_check": True,
            "skip_region_validation": True,
            "skip_requesting_account_id": True,
        }


def _secret(value: str | None) -> pulumi.Output[str] | None:
    return None if value is None else pulumi.Output.secret(value)


Outputs = dict[str, pulumi.Input[str] | list[str]]


def of_environment(release: Release, regions: Mapping[str, RegionStack]) -> Outputs:
    """Return every region's outputs with the region in underscores. The primary's also end in ``_primary``."""
    config = release.config
    outputs: Outputs = {
        "project": config.project,
        "environment": config.environment,
        "environment_suffix": config.suffix,
        "primary_region": config.regions.primary,
        "secondary_regions": list(config.regions.secondaries),
    }
    for name, region in regions.items():
        endings = [name.replace("-", "_")]
        if name == config.regions.primary:
            endings.append("primary")
        for output, value in of_region(region).items():
            outputs.update({f"{output}_{ending}": value for ending in endings})
    return outputs


def of_region(region: RegionStack) -> dict[str, pulumi.Input[str]]:
    """Return one region's outputs, by the name that comes before the region's."""
    storage, monitoring, notifications = region.storage, region.monitoring, region.notifications
    return {
        "lambda_function_name": region.function.function.name,
        "lambda_function_arn": region.function.function.arn,
        "lambda_role_arn": region.iam.role.arn,
        "deployment_bucket_name": storage.deployment_bucket.bucket,
        "deployment_bucket_arn": storage.deployment_bucket.arn,
        "log_bucket_name": storage.log_bucket.bucket,
        "log_bucket_arn": storage.log_bucket.arn,
        **_configuration(region),
        "lambda_log_group_name": monitoring.function_log_group.name,
        "validation_log_group_name": monitoring.validation_log_group.name,
        "deployment_log_group_name": monitoring.deployment_log_group.name,
        "deployment_topic_arn": notifications.deployment_topic.arn,
        "alarm_topic_arn": notifications.alarm_topic.arn,
        "worker_function_name": region.migration.worker.name,
        "state_machine_arn": region.migration.machine.arn,
        "vpc_id": region.network.vpc.id,
    }


def _configuration(region: RegionStack) -> dict[str, pulumi.Input[str]]:
    parameter, secret = region.secrets.parameter, region.secrets.secret
    if parameter is not None:
        return {
            "deployment_config_parameter_name": parameter.name,
            "deployment_config_parameter_arn": parameter.arn,
        }
    return {"deployment_config_secret_arn": secret.arn} if secret is not None else {}


def environment(
    releases: Mapping[str, Release],
    *,
    provider_settings: ProviderSettings,
    links: Release | None,
    allow_data_loss: bool = False,
) -> Outputs:
    """Build every region of ``releases`` at its own release, and the links of ``links`` between them.

    Args:
        releases: {region: release}. A region without a release is not built, and is not called.
        provider_settings: how to reach AWS.
        links: the release whose primary replicates to its secondaries, or None for no links at all.
        allow_data_loss: buckets may be deleted with their objects.

    Returns:
        The outputs, flat. Region-wide facts come from ``links``, or without links from the first release.

    Raises:
        InputError: there is no release, or one knows too few availability zones of its region.
    """
    described = links or next(iter(releases.values()), None)
    if described is None:
        raise InputError(
            "No region has a release, so there is nothing to build.",
            remedy="give one region at least a release",
            error_id="RS-RELEASE-001",
        )
    sites = {region: Site(region, release) for region, release in sorted(releases.items())}
    providers = AWSProviderManager(provider_settings, sites)
    regions = {
        region: RegionStack(site, providers.get_provider(region), allow_data_loss=allow_data_loss)
        for region, site in sites.items()
    }
    if links is not None:
        LinksStack(links, regions)
    return of_environment(described, regions)
