"""What the environment answers when asked where things are: one flat object, no value of a secret in it."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from regionshift.infrastructure.region import RegionStack
from regionshift.settings.release import Release

Outputs = dict[str, pulumi.Input[str] | list[str]]


def of_environment(release: Release, regions: Mapping[str, RegionStack]) -> Outputs:
    """Every region's outputs with the region in underscores, the primary's also as ``_primary``."""
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
    """One region's outputs, by the name that the region's is put behind."""
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
