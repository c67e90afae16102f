"""The resource types of the local provider, by token."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from regionshift.local.provider.handler import Handler
from regionshift.local.provider.handlers import (
    awslambda,
    cloudwatch,
    ec2,
    iam,
    kms,
    logs,
    s3,
    secretsmanager,
    security_groups,
    sfn,
    sns,
    sqs,
    ssm,
)

_MODULES = (
    *(awslambda, cloudwatch, ec2, iam, kms, logs, s3),
    *(secretsmanager, security_groups, sfn, sns, sqs, ssm),
)

BY_TOKEN: Mapping[str, Handler] = MappingProxyType(
    {handler.token: handler for module in _MODULES for handler in module.HANDLERS}
)
