"""The environment's configuration: decrypted at each read, never cached, never in a message.

docs/function.md lists the fields of the JSON.
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
    """The configuration cannot be used. The message has none of its values.

    Attributes:
        reached: whether the store returned it, so that only its content is wrong.
    """

    def __init__(self, message: str, *, reached: bool) -> None:
        super().__init__(message)
        self.reached = reached


@dataclass(frozen=True)
class CarriedObjects:
    """One entry of ``carry`` for objects. Bucket names can have ``{region}``; empty: the deployment bucket.

    ``target_prefix``: None when it equals ``prefix``. ``include``, ``exclude``: patterns on keys without the prefix.
    ``kms_key``: empty for the target bucket's own encryption. ``source_account``, ``target_account``: empty for the
    environment's account.
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
        """Its route without regions, for ``bounds.between``."""
        begins = self.prefix if self.target_prefix is None else self.target_prefix
        return Route(
            "s3",
            DataLocation("", self.bucket, self.prefix, self.source_account),
            DataLocation("", self.target_bucket or self.bucket, begins, self.target_account),
        )


@dataclass(frozen=True)
class FunctionConfiguration:
    """The fields that the function uses. ``is_primary`` is None when the configuration does not say.

    ``replication_destinations``: the deployment bucket of each secondary region; in the primary only.
    ``deployment_buckets``: the deployment bucket of each region. ``carry``: the entries for objects.
    ``on_failure``: ``rollback`` or ``stop``, for a migration that cannot be proven.
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
    """Fetch and decrypt the configuration.

    Raises:
        ConfigurationError: it cannot be fetched, or is not a JSON object.
    """
    return parse_configuration(_fetch(variables, clients))


def _fetch(variables: Variables, clients: FunctionClients) -> str:
    try:
        # A new provider each time and max_age 0, so that no decrypted value outlives the call.
        if variables.config_store == "ssm":
            value = SSMProvider(boto3_client=clients.ssm).get(
                variables.config_parameter, max_age=0, decrypt=True, force_fetch=True
            )
        else:
            value = SecretsProvider(boto3_client=clients.secretsmanager).get(
                variables.config_parameter, max_age=0, force_fetch=True
            )
    except GetParameterError as problem:
        # Powertools raises its own error while it handles AWS's, and only AWS's has the code.
        raise ConfigurationError(describe(problem.__context__ or problem), reached=False) from problem
    if not isinstance(value, str):
        raise ConfigurationError("it is not text", reached=True)
    return value


def parse_configuration(text: str) -> FunctionConfiguration:
    """Parse the JSON. The check ``parameters`` judges its first four fields, so they stay as they are.

    Raises:
        ConfigurationError: it is not a JSON object.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        # Without the cause: a JSON error contains the document.
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
