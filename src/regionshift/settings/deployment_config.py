"""The configuration that the function of a region reads: what is written into its parameter or secret. Pure."""

from __future__ import annotations

import json
from typing import Any

from regionshift.settings import components as named
from regionshift.settings.carry import CarryBucket
from regionshift.settings.config import MigrationConfig


def deployment_text(config: MigrationConfig, region: str) -> str:
    """The configuration of ``region`` as it is stored: JSON, the same for the same settings."""
    return json.dumps(deployment_config(config, region), sort_keys=True)


def deployment_config(config: MigrationConfig, region: str) -> dict[str, Any]:
    """The values for the function and the application; of a secret only its place.

    ``replication_destinations`` names the bucket of every secondary, so that the primary can tell whether it
    replicates to each.
    """
    secondaries = config.regions.secondaries
    return {
        "project": config.project,
        "region": region,
        "environment": config.environment,
        "environment_suffix": config.suffix,
        "log_level": config.application.log_level,
        "enable_validation": config.application.enable_validation,
        "primary_region": config.regions.primary,
        "secondary_regions": list(secondaries),
        "is_primary": region == config.regions.primary,
        "replication_destinations": {
            other: named.DEPLOYMENT_BUCKET.name(config.names, other) for other in secondaries
        },
        "deployment_buckets": {
            other: named.DEPLOYMENT_BUCKET.name(config.names, other) for other in config.all_regions
        },
        "carry": [_carried(config, entry) for entry in config.carry.s3],
        "on_failure": config.migration.on_failure,
        "config": dict(config.application.config),
        "secrets": {name: secret_name(config, region, name) for name in sorted(config.application.secrets)},
    }


def _carried(config: MigrationConfig, entry: CarryBucket) -> dict[str, Any]:
    """What the function has to know of an entry; the parameter is small, so what has its default is left out."""
    keeps = config.migration.keep_versions if entry.keep_versions is None else entry.keep_versions
    named_here = entry.model_dump(
        mode="json", exclude={"created_by", "keep_versions"}, exclude_defaults=True, exclude_none=True
    )
    return {**named_here, **({"keep_versions": True} if keeps else {})}


def secret_name(config: MigrationConfig, region: str, name: str) -> str:
    """What the application's secret ``name`` is called where ``config`` keeps it."""
    if config.application.store == "ssm":
        return config.names.parameter(name, region)
    return config.names.secret(name, region)
