"""Every resource type the local provider knows, by its token."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from regionshift.local.provider.handler import Handler
from regionshift.local.provider.handlers import cloudwatch, ec2, kms, logs, secretsmanager, sns, sqs, ssm

_MODULES = (cloudwatch, ec2, kms, logs, secretsmanager, sns, sqs, ssm)

BY_TOKEN: Mapping[str, Handler] = MappingProxyType(
    {handler.token: handler for module in _MODULES for handler in module.HANDLERS}
)
