"""One explicit provider a region; no resource is made without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from regionshift.infrastructure.site import Site

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

    With ``endpoint`` every service is asked there, and what only AWS itself can answer is skipped.
    """

    endpoint: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)


class AWSProviderManager:
    """Makes the provider of a region when it is first asked for, and gives the same one ever after."""

    def __init__(self, settings: ProviderSettings, sites: Mapping[str, Site]) -> None:
        self._settings = settings
        self._sites = sites
        self._providers: dict[str, aws.Provider] = {}

    def get_provider(self, region: str) -> aws.Provider:
        """The region's provider, with the region's default tags, bound to the configured account.

        Raises:
            KeyError: the region has no release, so nothing may be made in it.
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
            "s3_use_path_style": True,
            "skip_credentials_validation": True,
            "skip_metadata_api_check": True,
            "skip_region_validation": True,
            "skip_requesting_account_id": True,
        }


def _secret(value: str | None) -> pulumi.Output[str] | None:
    return None if value is None else pulumi.Output.secret(value)
