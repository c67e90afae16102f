"""The inputs of actions from outside: variables, clients, clock, loggers and Lambda's call."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

from aws_lambda_powertools import Logger

from regionshift.errors import without_credentials
from regionshift.function.clients import FunctionClients
from regionshift.function.request import FunctionRequest

ConfigStore = Literal["ssm", "secretsmanager"]

_REQUIRED = (
    "REGION",
    "ACCOUNT",
    "ENVIRONMENT",
    "DEPLOYMENT_BUCKET",
    "CONFIG_PARAMETER",
    "NOTIFICATION_TOPIC",
)
Clock = Callable[[], datetime]


def logger_of(service: str) -> Logger:
    """Return the logger of ``service``. Its lines are JSON, without credentials."""

    def line(content: Mapping[str, Any]) -> str:
        return without_credentials(json.dumps(content, default=str))

    return Logger(service=service, json_serializer=line)


class MisconfiguredError(Exception):
    """Variables of the function are missing or wrong; the message names them."""


@dataclass(frozen=True)
class Variables:
    """The function's environment variables.

    Attributes:
        region: the region's code.
        account: the environment's account, which must own all buckets unless ``carry`` names another account.
        environment: the environment in the settings; the configuration must have the same.
        environment_name: the name of this environment (the suffix, if there is one).
        deployment_bucket: the bucket's name.
        config_parameter: the parameter's name, or the secret's ARN when ``config_store`` says so.
        notification_topic: the deployment topic's ARN.
        validation_log_group, deployment_log_group: names; empty when there is no such group.
        key_arn: the region's KMS key; empty when unknown.
        function_name: the function's name; empty outside Lambda.
        state_machine_arn: the state machine of migrations; empty when unknown.
        records_key_arn: the HMAC key of the migrations' records; empty when unknown.
    """

    region: str
    account: str
    environment: str
    environment_name: str
    deployment_bucket: str
    config_parameter: str
    notification_topic: str
    config_store: ConfigStore = "ssm"
    validation_log_group: str = ""
    deployment_log_group: str = ""
    key_arn: str = ""
    state_machine_arn: str = ""
    records_key_arn: str = ""
    function_name: str = ""

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Variables:
        """Read the variables from ``env``.

        Raises:
            MisconfiguredError: a required variable is missing or empty, or a value is not allowed.
        """
        missing = [name for name in _REQUIRED if not env.get(name)]
        if missing:
            raise MisconfiguredError(f"The function's variables are not set: {', '.join(missing)}.")
        store = env.get("CONFIG_STORE") or "ssm"
        if store not in ("ssm", "secretsmanager"):
            raise MisconfiguredError("The function's variable CONFIG_STORE must be ssm or secretsmanager.")
        return cls(
            region=env["REGION"],
            account=env["ACCOUNT"],
            environment=env["ENVIRONMENT"],
            environment_name=env.get("ENVIRONMENT_SUFFIX") or env["ENVIRONMENT"],
            deployment_bucket=env["DEPLOYMENT_BUCKET"],
            config_parameter=env["CONFIG_PARAMETER"],
            notification_topic=env["NOTIFICATION_TOPIC"],
            config_store=cast("ConfigStore", store),
            validation_log_group=env.get("VALIDATION_LOG_GROUP", ""),
            deployment_log_group=env.get("DEPLOYMENT_LOG_GROUP", ""),
            key_arn=env.get("KMS_KEY_ARN", ""),
            state_machine_arn=env.get("STATE_MACHINE_ARN", ""),
            records_key_arn=env.get("RECORDS_KEY_ARN", ""),
            # Lambda Developer Guide, "Defined runtime environment variables".
            function_name=env.get("AWS_LAMBDA_FUNCTION_NAME", ""),
        )


def utc_now() -> datetime:
    """The default clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Invocation:
    """One call of Lambda. Outside Lambda, the attributes have defaults.

    Attributes:
        request_id: the id of the call.
        log_stream: the function's own log stream.
        remaining_ms: returns how long the call may still take, in milliseconds.
    """

    request_id: str
    log_stream: str
    remaining_ms: Callable[[], int]

    @classmethod
    def of(cls, context: object) -> Invocation:
        """Read Lambda's context object."""
        return cls(
            request_id=str(getattr(context, "aws_request_id", "") or ""),
            log_stream=str(getattr(context, "log_stream_name", "") or ""),
            remaining_ms=getattr(context, "get_remaining_time_in_millis", lambda: 300_000),
        )


@dataclass(frozen=True)
class ActionContext:
    """The inputs of an action besides the request.

    Attributes:
        announce: publishes that the request has started; returns the message's id or raises AWS's error. An action
            calls it once, after all checks that can refuse.
    """

    variables: Variables
    clients: FunctionClients
    clock: Clock
    logger: Logger
    invocation: Invocation
    announce: Callable[[FunctionRequest], str]
