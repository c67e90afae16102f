"""The function's entry in Lambda, ``migration_handler.handler`` in the zip. Reads the environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

import boto3
from aws_lambda_powertools import Logger, Tracer

from regionshift.function.answer import Answer
from regionshift.function.clients import FunctionClients, from_region, of_session
from regionshift.function.dispatcher import Dispatcher
from regionshift.function.request import UNKNOWN
from regionshift.function.surroundings import MisconfiguredError, Variables, logger_of, utc_now

SERVICE = "migration"


def handler(event: object, context: object) -> dict[str, Any]:
    """Return the answer to an event: ``{"statusCode": ..., "body": "<JSON>"}`` (docs/function.md)."""
    try:
        variables = Variables.read(os.environ)
    except MisconfiguredError as problem:
        return _misconfigured(problem, os.environ)
    dispatcher = _dispatcher(variables, _identity(os.environ))
    # Response and errors stay out of the trace, which has other readers than the answer.
    traced = Tracer(service=SERVICE).capture_lambda_handler(
        dispatcher.respond, capture_response=False, capture_error=False
    )
    return cast("dict[str, Any]", traced(event, context))


def _identity(env: Mapping[str, str]) -> tuple[str | None, ...]:
    """Return the variables that clients use besides the region. When they change, new clients are created."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE")
    return tuple(env.get(name) for name in names)


@lru_cache(maxsize=1)
def _dispatcher(variables: Variables, _identity: tuple[str | None, ...]) -> Dispatcher:
    """Return the dispatcher. It is kept while Lambda keeps the process, so that a warm call creates no clients."""
    logger = logger_of(SERVICE)
    record = Logger(service=SERVICE, level="INFO", child=True)
    access = of_session(boto3.session.Session(region_name=variables.region), os.environ)
    return Dispatcher(
        variables, FunctionClients(from_region(variables.region, variables.account), access), logger, record
    )


def _misconfigured(problem: MisconfiguredError, env: Mapping[str, str]) -> dict[str, Any]:
    logger_of(SERVICE).error(str(problem))
    region = env.get("REGION") or env.get("AWS_REGION") or "unknown"
    return Answer(500, UNKNOWN, str(problem), code="Misconfigured").response(region, utc_now())
