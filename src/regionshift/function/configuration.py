"""The environment's configuration: read with decryption, never from a cache, never shown.

The JSON's fields are listed in docs/function.md. Nothing here puts a value into a message.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools.utilities.parameters import SecretsProvider, SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from regionshift.carriers.bounds import Route
from regionshift.carriers.carrier import DataLocation
from regionshift.function.answer import describe
from regionshift.function.clients import FunctionClients
from regionshift.function.surroundings import Variables

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class ConfigurationError(Exception):
    """The configuration cannot be used; the message says why without any of its values.

    Attributes:
        reached: whether the store gave it to us (and only its content is wrong).
    """

    def __init__(self, message: str, *, reached: bool) -> None:
        super().__init__(message)
        self.reached = reached


@dataclass(frozen=True)
class CarriedObjects:
    """One entry of ``carry``: objects. Buckets may have ``{region}`` in their names; empty: the deployment bucket.

    ``target_prefix`` is None when it is the same as ``prefix``; patterns are compared after ``prefix``;
    ``source_account`` and ``target_account`` are empty where they are the environment's;
    without a ``kms_key`` the target bucket's own encryption holds.
    """

    bucket: str = ""
    prefix: str = ""
    target_bucket: str = ""
    target_prefix: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    storage_class: str = "keep"
    keep_versions: bool = False
    kms_key: str = ""
    source_account: str = ""
    target_account: str = ""

    @property
    def pattern(self) -> Route:
        """Where it carries from and to, as ``bounds.between`` takes it."""
        begins = self.prefix if self.target_prefix is None else self.target_prefix
        return Route(
            "s3",
            DataLocation("", self.bucket, self.prefix, self.source_account),
            DataLocation("", self.target_bucket or self.bucket, begins, self.target_account),
        )


@dataclass(frozen=True)
class FunctionConfiguration:
    """What the function uses of it. ``is_primary`` is None when the configuration does not say.

    ``replication_destinations`` maps each secondary region to its deployment bucket, in the primary;
    ``deployment_buckets`` does so for every region. ``carry`` has what the settings name of objects.
    ``on_failure`` says what becomes of a migration that cannot be proven.
    """

    region: object
    environment: object
    log_level: object
    enable_validation: object
    is_primary: bool | None
    secondary_regions: tuple[str, ...] = ()
    replication_destinations: Mapping[str, str] = field(default_factory=dict)
    deployment_buckets: Mapping[str, str] = field(default_factory=dict)
    carry: tuple[CarriedObjects, ...] = ()
    on_failure: str = "rollback"


def read_configuration(variables: Variables, clients: FunctionClients) -> FunctionConfiguration:
    """Fetch and decrypt it now.

    Raises:
        ConfigurationError: it cannot be fetched, or is no JSON object.
    """
    return parse_configuration(_fetch(variables, clients))


def _fetch(variables: Variables, clients: FunctionClients) -> str:
    try:
        # A provider of its own each time and max_age 0: no decrypted value outlives the call.
        if variables.config_store == "ssm":
            value = SSMProvider(boto3_client=clients.ssm).get(
                variables.config_parameter, max_age=0, decrypt=True, force_fetch=True
            )
        else:
            value = SecretsProvider(boto3_client=clients.secretsmanager).get(
                variables.config_parameter, max_age=0, force_fetch=True
            )
    except GetParameterError as problem:
        # Powertools raises its own error while handling AWS's, which alone knows the code.
        raise ConfigurationError(describe(problem.__context__ or problem), reached=False) from problem
    if not isinstance(value, str):
        raise ConfigurationError("it is not text", reached=True)
    return value


def parse_configuration(text: str) -> FunctionConfiguration:
    """Read the JSON; its four basic fields stay as they are, to be judged by the check.

    Raises:
        ConfigurationError: it is no JSON object.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        # Without the cause: a JSON error carries the document.
        raise ConfigurationError("it is not JSON", reached=True) from None
    if not isinstance(document, dict):
        raise ConfigurationError("it is not a JSON object", reached=True)
    is_primary = document.get("is_primary")
    return FunctionConfiguration(
        region=document.get("region"),
        environment=document.get("environment"),
        log_level=document.get("log_level"),
        enable_validation=document.get("enable_validation"),
        is_primary=is_primary if isinstance(is_primary, bool) else None,
        secondary_regions=_strings(document.get("secondary_regions")),
        replication_destinations=_string_map(document.get("replication_destinations")),
        deployment_buckets=_string_map(document.get("deployment_buckets")),
        carry=_carry(document.get("carry")),
        on_failure="stop" if document.get("on_failure") == "stop" else "rollback",
    )


def _strings(found: Any) -> tuple[str, ...]:
    return tuple(item for item in found if isinstance(item, str)) if isinstance(found, list) else ()


def _carry(found: Any) -> tuple[CarriedObjects, ...]:
    return (
        tuple(_carried(entry) for entry in found if isinstance(entry, dict))
        if isinstance(found, list)
        else ()
    )


def _carried(entry: Mapping[str, Any]) -> CarriedObjects:
    texts = _string_map(entry)
    return CarriedObjects(
        bucket=texts.get("bucket", ""),
        prefix=texts.get("prefix", ""),
        target_bucket=texts.get("target_bucket", ""),
        target_prefix=texts.get("target_prefix"),
        include=_strings(entry.get("include")),
        exclude=_strings(entry.get("exclude")),
        storage_class=texts.get("storage_class", "keep"),
        keep_versions=entry.get("keep_versions") is True,
        kms_key=texts.get("kms_key", ""),
        source_account=texts.get("source_account", ""),
        target_account=texts.get("target_account", ""),
    )


def _string_map(found: Any) -> dict[str, str]:
    if not isinstance(found, dict):
        return {}
    return {region: bucket for region, bucket in found.items() if isinstance(bucket, str)}
