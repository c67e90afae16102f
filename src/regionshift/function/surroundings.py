"""What an action works with: everything from outside, passed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from aws_lambda_powertools import Logger

from regionshift.function.clients import FunctionClients
from regionshift.function.request import FunctionRequest
from regionshift.function.variables import Variables

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The default clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Invocation:
    """What Lambda says of this call; each has a stand-in for a call that does not come from Lambda.

    Attributes:
        request_id: Lambda's id of the call.
        log_stream: the function's own log stream.
        remaining_ms: how long the call may still take, in milliseconds.
    """

    request_id: str
    log_stream: str
    remaining_ms: Callable[[], int]

    @classmethod
    def of(cls, context: object) -> Invocation:
        """Take it from Lambda's context object."""
        return cls(
            request_id=str(getattr(context, "aws_request_id", "") or ""),
            log_stream=str(getattr(context, "log_stream_name", "") or ""),
            remaining_ms=getattr(context, "get_remaining_time_in_millis", lambda: 300_000),
        )


@dataclass(frozen=True)
class ActionContext:
    """Given to every action.

    Attributes:
        announce: publishes that the request has started; gives the message's id or raises AWS's error.
            An action calls it once, after its last refusal.
    """

    variables: Variables
    clients: FunctionClients
    clock: Clock
    logger: Logger
    invocation: Invocation
    announce: Callable[[FunctionRequest], str]
