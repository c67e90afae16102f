"""Lambda functions, who may invoke them, and what becomes of asynchronous invocations."""

from __future__ import annotations

from regionshift.local.provider.handler import Handler
from regionshift.local.provider.handlers.awslambda.event_invoke_config import EventInvokeConfig
from regionshift.local.provider.handlers.awslambda.function import Function
from regionshift.local.provider.handlers.awslambda.permission import Permission

HANDLERS: tuple[Handler, ...] = (EventInvokeConfig(), Function(), Permission())
