"""Secrets of Secrets Manager: the secret with its policy, and its value."""

from __future__ import annotations

from regionshift.local.provider.handler import Handler
from regionshift.local.provider.handlers.secretsmanager.secret import SecretHandler
from regionshift.local.provider.handlers.secretsmanager.secret_version import SecretVersionHandler

HANDLERS: tuple[Handler, ...] = (SecretHandler(), SecretVersionHandler())
