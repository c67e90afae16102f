"""AWS's errors in the provider: which ones are retried, and their messages without secrets."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    ParamValidationError,
)

from regionshift.aws.clients import ATTEMPTS
from regionshift.errors import RegionshiftError, WorkFailed, texts_of, without_texts
from regionshift.local.provider.handler import Handler
from regionshift.local.provider.wire import Asset, Properties

# Temporary refusals, by code and message: a role or policy that has not spread yet, a name that is not free yet, a busy
# function. The ordinary plugin retries them for minutes (terraform-provider-aws, ``RetryWhen…`` in
# internal/service/{ec2,kms,lambda,s3,sfn,sns}).
_PASSES: Final = (
    ("AccessDeniedException", "authorized to assume the provided role"),
    ("AccessDeniedException", "not authorized to access the Log Destination"),
    ("InvalidParameter", "PrincipalNotFound"),
    ("InvalidParameter", "Unable to assume given IAM role"),
    ("InvalidParameterValueException", "cannot be assumed by Lambda"),
    ("InvalidParameterValueException", "execution role does not have permissions"),
    ("MalformedPolicy", "Invalid principal"),
    ("MalformedPolicyDocumentException", "invalid principals"),
    ("OperationAborted", ""),
    ("ResourceConflictException", "The operation cannot be performed at this time"),
)


def passes(error: ClientError) -> bool:
    """Whether the refusal is temporary."""
    refused = error.response.get("Error", {})
    code, message = refused.get("Code", ""), refused.get("Message", "")
    return any(code == known and words in message for known, words in _PASSES)


_NOT_SERVING: Final = (429, 500, 502, 503, 504)
_ATTEMPTS, _FIRST, _LONGEST = 12, 0.1, 20.0


def ask_again(
    attempts: int,
    response: tuple[Any, Mapping[str, Any]] | None,
    caught_exception: Exception | None = None,
    **_: Any,
) -> float | None:
    """Return the seconds to wait before another attempt at a service that is down; None: give up.

    A region can be down for a while. When it answers with errors, attempts continue for about two minutes. When it does
    not answer, there are as many attempts as boto makes. By then boto's quota of retries for the client can be used up:
    each request to the region takes from it, and the next broken connection would fail. The ordinary plugin continues
    for longer, and has no quota by default (terraform-provider-aws, ``max_retries``: 25,
    ``token_bucket_rate_limiter_capacity``).
    """
    if response is None:
        is_lost = isinstance(caught_exception, ConnectionError | HTTPClientError)
        most = ATTEMPTS if is_lost else 0
    else:
        most = _ATTEMPTS if response[0].status_code in _NOT_SERVING else 0
    if attempts >= most:
        return None
    return min(_LONGEST, _FIRST * 2.0**attempts) * (0.5 + random.random() / 2)


_VALUE: Final = re.compile(r"value: .*?(?=, type|, valid|$)", re.DOTALL)


def message_without_secrets(error: Exception, handler: Handler | None, inputs: Properties) -> str:
    """Return AWS's message for the engine, without the values of secret inputs."""
    if isinstance(error, ParamValidationError):
        message = _VALUE.sub("value: [not shown]", str(error))
    elif isinstance(error, RegionshiftError):
        message = error.message
    elif isinstance(error, ClientError | BotoCoreError):
        message = str(error)
    else:
        message = f"{type(error).__name__}: {error}"
    return without_texts(message, _secrets(handler, inputs))


def _secrets(handler: Handler | None, inputs: Properties) -> set[str]:
    """Return the texts of secret inputs, except those that other inputs show anyway, such as the region."""
    if handler is None:
        return set()
    hidden = {name for name, of in handler.fields.items() if of.secret}
    shown = {text for name, value in inputs.items() if name not in hidden for text in _texts(value)}
    return texts_of((text for name in hidden for text in _texts(inputs.get(name))), shown)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Asset):
        yield value.text or ""
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


class Taken(WorkFailed):
    """Another resource has the name."""

    error_id = "RS-LOCAL-006"

    def __init__(self, name: str, region: str) -> None:
        super().__init__(
            f"{name} exists already and does not belong to this resource",
            where=region,
            remedy="delete it, import it, or choose another name",
        )
