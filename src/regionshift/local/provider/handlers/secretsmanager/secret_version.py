"""A value of a secret."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from regionshift.local.provider.absent import look
from regionshift.local.provider.failures import is_gone
from regionshift.local.provider.fields import Field, FieldType, InvalidInput
from regionshift.local.provider.handler import Context, Handler
from regionshift.local.provider.handlers.secretsmanager.secret import described
from regionshift.local.provider.wire import Properties

_CURRENT = "AWSCURRENT"
_LARGEST = 65_536  # bytes; Secrets Manager User Guide, "Quotas"
_FIELDS = {"secretString": "SecretString", "secretBinary": "SecretBinary"}
"""The input of a text and that of bytes (in base64), each with the API's own name."""
_BETWEEN = "|"  # in the id of a version: secret ARN, version id


class SecretVersionHandler(Handler):
    """A value of a secret. Another value is another version.

    Secrets Manager does not delete versions: deleting one takes its stages away, all but the current one.
    Someone else's new value leaves this version where it is, and so is no drift; its stages are.
    """

    token = "aws:secretsmanager/secretVersion:SecretVersion"
    fields = {
        "secretId": Field(required=True, replaces=True),
        "secretString": Field(replaces=True, secret=True),
        "secretBinary": Field(replaces=True, secret=True),
        "versionStages": Field(FieldType.SET, computed=True),
    }
    outputs = ("arn", "versionId")

    def mistakes(self, inputs: Properties) -> Iterator[InvalidInput]:
        given = [name for name in _FIELDS if inputs.get(name) is not None]
        if len(given) != 1:
            yield InvalidInput("secretString", "must be given, or secretBinary, and not both")
            return
        value = inputs[given[0]]
        try:
            size = len(_sent(given[0], value)) if isinstance(value, str) else 1
        except binascii.Error:
            yield InvalidInput(given[0], "must be base64")
            return
        if not 0 < size <= _LARGEST:
            yield InvalidInput(given[0], f"must be from 1 to {_LARGEST} bytes")

    def create(self, context: Context, inputs: Properties) -> str:
        secrets, secret = context.client("secretsmanager"), inputs["secretId"]
        current = look(secrets.get_secret_value, SecretId=secret)
        if (
            current is not None
            and _told(current) == {name: inputs[name] for name in _FIELDS if inputs.get(name) is not None}
            and set(inputs.get("versionStages") or [_CURRENT]) <= set(current["VersionStages"])
        ):
            return _BETWEEN.join((secret, current["VersionId"]))  # a lost create made it
        stages = {"VersionStages": inputs["versionStages"]} if inputs.get("versionStages") else {}
        made = secrets.put_secret_value(SecretId=secret, **_request(inputs), **stages)
        return _BETWEEN.join((secret, made["VersionId"]))

    def finish(self, context: Context, identity: str, inputs: Properties) -> None:
        if inputs.get("versionStages") is None:
            return
        secrets = context.client("secretsmanager")
        secret, version = identity.split(_BETWEEN)
        live = set((_value(secrets, secret, version) or {}).get("VersionStages", []))
        wanted = set(inputs["versionStages"])
        for stage in sorted(wanted - live):  # the emulator drops what is put beside the current stage
            _move(secrets, secret, stage, version)
        for stage in sorted(live - wanted - {_CURRENT}):
            secrets.update_secret_version_stage(
                SecretId=secret, VersionStage=stage, RemoveFromVersionId=version
            )

    def read(self, context: Context, identity: str) -> Properties | None:
        secret, version = identity.split(_BETWEEN)
        found = _value(context.client("secretsmanager"), secret, version)
        if found is None:
            return None
        return {
            "arn": found["ARN"],
            "secretId": secret,
            **_told(found),
            "versionId": version,
            "versionStages": sorted(found.get("VersionStages", [])),
        }

    def delete(self, context: Context, identity: str, properties: Properties) -> None:
        secrets = context.client("secretsmanager")
        secret, version = identity.split(_BETWEEN)
        found = _value(secrets, secret, version) or {}
        for stage in found.get("VersionStages", []):
            if stage != _CURRENT:  # it can move to another version, but not go
                secrets.update_secret_version_stage(
                    SecretId=secret, VersionStage=stage, RemoveFromVersionId=version
                )


def _sent(name: str, value: str) -> bytes:
    return base64.b64decode(value, validate=True) if name == "secretBinary" else value.encode()


def _request(inputs: Properties) -> dict[str, Any]:
    if inputs.get("secretBinary") is not None:
        return {"SecretBinary": _sent("secretBinary", inputs["secretBinary"])}
    return {"SecretString": inputs["secretString"]}


def _told(answer: Mapping[str, Any]) -> dict[str, str]:
    """The value of GetSecretValue's answer as an input."""
    if answer.get("SecretBinary") is not None:
        return {"secretBinary": base64.b64encode(answer["SecretBinary"]).decode()}
    return {"secretString": answer["SecretString"]}


def _value(secrets: Any, secret: str, version: str) -> Mapping[str, Any] | None:
    """One version's value; None when it is gone, or the secret waits for its deletion."""
    try:
        found: Mapping[str, Any] = secrets.get_secret_value(SecretId=secret, VersionId=version)
    except ClientError as error:
        if is_gone(error) or error.response["Error"]["Code"] == "InvalidRequestException":
            return None
        raise
    return found


def _move(secrets: Any, secret: str, stage: str, version: str) -> None:
    """Give ``stage`` to ``version``; Secrets Manager wants to hear who had it."""
    secret_now = described(secrets, secret) or {}
    holders = [
        holder for holder, stages in secret_now.get("VersionIdsToStages", {}).items() if stage in stages
    ]
    taken = {"RemoveFromVersionId": holders[0]} if holders else {}
    secrets.update_secret_version_stage(SecretId=secret, VersionStage=stage, MoveToVersionId=version, **taken)
