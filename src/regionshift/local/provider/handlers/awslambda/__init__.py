"""Lambda functions."""

from __future__ import annotations

from regionshift.local.provider.handler import Handler
from regionshift.local.provider.handlers.awslambda.function import FunctionHandler

HANDLERS: tuple[Handler, ...] = (FunctionHandler(),)
