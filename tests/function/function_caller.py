"""Calls the function in this process, with an identity and a region of choice."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools import Logger
from function_region import Maker

from regionshift.function.clients import FunctionClients
from regionshift.function.dispatcher import Dispatcher
from regionshift.function.surroundings import Variables


@dataclass(frozen=True)
class Context:
    """What Lambda passes beside the event."""

    aws_request_id: str = "request-1"
    log_stream_name: str = "2030/01/02/[$LATEST]abc"
    get_remaining_time_in_millis: Callable[[], int] = lambda: 300_000


@dataclass
class Caller:
    """``output`` has what the function logged."""

    variables: Variables
    make: Maker
    remaining_ms: Callable[[], int] = lambda: 300_000
    output: io.StringIO = field(default_factory=io.StringIO)
    service: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex}")

    def __call__(self, event: object) -> tuple[int, dict[str, Any]]:
        """The status code and the body."""
        # A logger of its own a caller: Powertools' loggers of one service share their stream, as long as Python runs.
        logger = Logger(service=self.service, stream=self.output)
        record = Logger(service=self.service, level="INFO", child=True)
        dispatcher = Dispatcher(self.variables, FunctionClients(self.make, self.make.access), logger, record)
        response = dispatcher.respond(event, Context(get_remaining_time_in_millis=self.remaining_ms))
        assert set(response) == {"statusCode", "body"}
        body = json.loads(response["body"])
        assert body["region"] == self.variables.region
        assert body["status"] == ("success" if response["statusCode"] < 400 else "error")
        return response["statusCode"], body

    def logged(self) -> list[dict[str, Any]]:
        """The lines in the function's own log."""
        return [json.loads(line) for line in self.output.getvalue().splitlines()]
