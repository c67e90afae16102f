"""Lambda's entry, in the zip also ``migration_handler.handler``: the one place to read the environment."""

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
    """Answer an event: ``{"statusCode": ..., "body": "<JSON>"}`` (docs/function.md)."""
    try:
        variables = Variables.read(os.environ)
    except MisconfiguredError as problem:
        return _misconfigured(problem, os.environ)
    dispatcher = _dispatcher(variables, _identity(os.environ))
    # Neither response nor errors go into the trace: a trace's readers are others than the answer's.
    traced = Tracer(service=SERVICE).capture_lambda_handler(
        dispatcher.respond, capture_response=False, capture_error=False
    )
    return cast("dict[str, Any]", traced(event, context))


def _identity(env: Mapping[str, str]) -> tuple[str | None, ...]:
    """What clients take from the environment besides the region: they are made anew when it changes."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE")
    return tuple(env.get(name) for name in names)


@lru_cache(maxsize=1)
def _dispatcher(variables: Variables, _identity: tuple[str | None, ...]) -> Dispatcher:
    """Kept for as long as Lambda keeps the process, so that a warm call makes no new clients."""
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
