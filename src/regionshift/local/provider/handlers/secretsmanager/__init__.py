"""Secrets of Secrets Manager: the secret, its value, and who may use it."""

from __future__ import annotations

from regionshift.local.provider.handler import Handler
from regionshift.local.provider.handlers.secretsmanager.secret import Secret
from regionshift.local.provider.handlers.secretsmanager.secret_policy import SecretPolicy
from regionshift.local.provider.handlers.secretsmanager.secret_version import SecretVersion

HANDLERS: tuple[Handler, ...] = (Secret(), SecretVersion(), SecretPolicy())
